"""Names that XML does not allow, and the names that it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import read_gml
from tests.portal.gml.documents import around, read
from tests.portal.gml.test_fast import in_blocks_of

NAME = st.from_regex(r"[0-9a-z_@.\-][0-9a-z_@.\-]{0,8}", fullmatch=True)


@given(st.lists(NAME, min_size=1, max_size=4, unique=True), st.integers(1, 60), st.booleans())
def test_any_name_of_a_field_is_read(names: list[str], block: int, prefixed: bool) -> None:
    prefix = "ods:" if prefixed else ""
    inner = "".join(f"<{prefix}{name}>{n}</{prefix}{name}>" for n, name in enumerate(names))
    inner += f"<{prefix}{names[0]}-e/>"
    with in_blocks_of(block):
        found = read(around(inner))
    assert {name: found[name] for name in names} == {n: [str(i)] for i, n in enumerate(names)}
    assert found[f"{names[0]}-e"] == [""]


@pytest.mark.parametrize("name", ["2024-trees", "trees@portal", "-", "1", "a@b@c"])
@pytest.mark.parametrize("prefix", ["ods:", ""])
def test_any_name_of_a_type_is_read(prefix: str, name: str) -> None:
    body = around("<ods:name>a</ods:name>").decode().replace("ods:trees", prefix + name)
    assert list(read_gml(body.encode(), feature_type=f"ods:{name}")["name"]) == ["a"]


@pytest.mark.parametrize(
    "text",
    ["<!-- <2x> </3> -->", "<?p <2x> ?>", "<![CDATA[<2x>]]>", "<!----><![CDATA[-->]]>", "&lt;2x>"],
)
def test_what_looks_like_a_bad_name_in_text_stays_as_it_is(text: str) -> None:
    body = around(f"<ods:n>{text}</ods:n><ods:1>a</ods:1><ods:m>{text}</ods:m>")
    for block in (1, 5, 1 << 12):
        with in_blocks_of(block):
            found = read(body)
        assert found["n"] == found["m"]
        assert found["n"][0] in ("", "<2x>", "-->")
        assert found["1"] == ["a"]


@pytest.mark.parametrize(
    "inner",
    ["<2x", "<2x>", "<2x/ >", "</2x>", "<2x></3x>", "<2x a></2x>", "a <5 b", "<$x/>", "<ods:/>",
     '<a b="<2x>"/>', "<ods:a:2/>", "< 2x/>", "<2x!/>"],
)  # fmt: skip
def test_what_else_is_wrong_with_a_tag_stays_wrong(inner: str) -> None:
    with pytest.raises((Unproven, GmlRefused)):
        read(around(f"<ods:name>{inner}</ods:name>" if inner[0] == "a" else inner))


def test_a_refusal_calls_things_by_the_names_that_the_document_has() -> None:
    with pytest.raises(GmlRefused, match=r"property '2024', holds 3x, which is neither"):
        read(around("<ods:2024><ods:3x/></ods:2024>"))
    with pytest.raises(GmlRefused, match="root element is 5x"):
        read(b"<5x/>")


def test_two_namespaces_may_not_share_a_name() -> None:
    with pytest.raises(GmlRefused, match="two namespaces have a property 'name'"):
        read(around('<ods:name>a</ods:name><x:name xmlns:x="urn:x">b</x:name>'))


def test_names_of_gml_itself_are_distinguished() -> None:
    found = read(
        around(
            "<gml:metaDataProperty><gml:x/></gml:metaDataProperty><gml:description>d"
            "</gml:description><gml:name>g</gml:name><gml:boundedBy/><gml:location/>"
            "<ods:name>o</ods:name><ods:location>l</ods:location>"
        )
    )
    assert found == {
        "id": ["x.1"],
        "gml_description": ["d"],
        "gml_name": ["g"],
        "name": ["o"],
        "location": ["l"],
    }
