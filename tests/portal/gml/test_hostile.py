"""Documents that no honest server sends: refused at once, and without filling the memory."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from ods_pipeline.errors import GmlRefused, OdsPipelineError, Unproven
from ods_pipeline.portal.gml import Collection, limits
from tests.portal.gml.documents import Feature, around, document, read
from tests.portal.gml.test_fast import in_blocks_of

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY a{n} "{"&a;" * 10}">' for n in range(9))
    + "]><wfs:FeatureCollection xmlns:wfs='http://www.opengis.net/wfs'>&a9;</wfs:FeatureCollection>"
)
FILE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
REMOTE = '<!DOCTYPE a SYSTEM "http://portal.test/evil.dtd"><a/>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://portal.test/p"> %p;]><a/>'
MEGABYTE = b"x" * (1 << 20)


@pytest.mark.parametrize("body", [LAUGHS, FILE, REMOTE, PARAMETER])
def test_a_doctype_is_refused_before_it_declares_anything(body: str) -> None:
    with pytest.raises(GmlRefused, match="DOCTYPE"):
        read(body.encode())


def test_entities_that_xml_does_not_define_are_refused() -> None:
    with pytest.raises(GmlRefused, match="entity that XML does not define"):
        read(around("<ods:name>&eacute;</ods:name>"))


@pytest.mark.parametrize(
    "opening",
    [
        b"<ods:geo_shape>" + b"<gml:MultiGeometry><gml:geometryMember>" * 500_000,
        b"<gml:boundedBy>" + b"<gml:Envelope>" * 1_000_000,
        b"</ods:trees></gml:featureMember>"
        + b"<gml:featureMember><wfs:FeatureCollection>" * 500_000,
    ],
    ids=["geometry", "box", "collections"],
)
def test_a_million_elements_within_each_other_are_refused(opening: bytes) -> None:
    head = around("").partition(b"</ods:trees>")[0]
    with pytest.raises(GmlRefused, match="nested too deeply"):
        read(head + opening)


def endless(head: str, piece: bytes = MEGABYTE) -> Iterator[bytes]:
    start = around("").partition(b"</ods:trees>")[0]
    return chain([start, head.encode()], repeat(piece, 600))


ENDLESS = {
    "text": ("<ods:name>", MEGABYTE, "a text of more than"),
    "data": ("<ods:name><![CDATA[", MEGABYTE, "a text of more than"),
    "coordinates": ("<ods:s><gml:Point><gml:pos>", b"1 2 3 4 " * (1 << 17), "a text of more than"),
    "attribute": ('<ods:name a="', MEGABYTE, "a tag or comment"),
    "comment": ("<!--", MEGABYTE, "a tag or comment"),
    "name": ("<ods:", MEGABYTE, "a tag or comment"),
    "values": ("", (b"<ods:n>" + b"x" * 99_985 + b"</ods:n>") * 10, "a feature takes more than"),
    "attributes": ("<ods:name", b"".join(b' a%d="1"' % n for n in range(99_999)), "rules|tag"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_refused_with_little_of_it_kept(kind: str) -> None:
    head, piece, says = ENDLESS[kind]
    with pytest.raises(OdsPipelineError, match=says):
        list(Collection(endless(head, piece)))


def test_a_thousand_times_a_thousand_properties_are_refused() -> None:
    names = "".join(f"<ods:n{n}/>" for n in range(limits.PROPERTIES + 1))
    with pytest.raises(GmlRefused, match="different properties"):
        read(around(names))


@pytest.mark.parametrize(
    "body",
    [
        around("<ods:name>\x00</ods:name>"),
        around("<ods:name>\x0b</ods:name>"),
        around("<ods:name>&#0;</ods:name>"),
        around("<ods:name>").replace(b"<ods:name>", b"<ods:name>\xff</ods:name>"),
        around("<ods:name>").replace(b"<ods:name>", b"<ods:name>\xc3</ods:name>"),
        around("<ods:name>").replace(b"<ods:name>", b"<ods:name>\xed\xa0\x80</ods:name>"),
        around("<ods:2>").replace(b"<ods:2>", b"<ods:2\xff/>"),
        around("<ods:2>").replace(b"<ods:2>", b"<ods:2\xed\xa0\x80/>"),
        around("<ods:2>").replace(b"<ods:2>", b"<\xff@ />"),
        around("<ods:name a=1>x</ods:name>"),
        around("<ods:name><b></ods:name>"),
        around("<ods:a></ods:b>"),
    ],
)
def test_bytes_that_are_no_xml_are_an_error(body: bytes) -> None:
    with pytest.raises((Unproven, GmlRefused)):
        read(body)


def test_features_of_other_types_may_be_as_many_as_they_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = document([Feature(f"x.{n}", {"name": "a"}) for n in range(500)])
    wanted = b"<ods:roads><ods:name>b</ods:name></ods:roads></gml:featureMembers>"
    body = body.replace(b"</gml:featureMembers>", wanted)
    monkeypatch.setattr(limits, "FEATURE", 5000)
    with in_blocks_of(1000):
        assert read(body, feature_type="roads")["name"] == ["b"]


LAYER = """
import shapely
from pathlib import Path
from ods_pipeline.portal.gml import Collection
from tests.portal.gml.documents import Feature, document

def kilobytes():
    # Not ru_maxrss, which a process inherits from the one that started it.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

box, point = shapely.box, shapely.Point
body = document([
    Feature(f"x.{n}", {"name": "n" * 50}, {"p": point(n % 180, 1), "s": box(0, 0, n % 90 + 1, 1)})
    for n in range(1000)
])
head, _, rest = body.partition(b"<gml:featureMembers>")
inner, _, tail = rest.rpartition(b"</gml:featureMembers>")

def chunks(times):
    yield head + b"<gml:featureMembers>"
    for _ in range(times):
        yield inner
    yield b"</gml:featureMembers>" + tail

assert sum(batch.rows for batch in Collection(chunks(60))) == 60_000
before = kilobytes()
assert sum(batch.rows for batch in Collection(chunks(300))) == 300_000
print(kilobytes(), kilobytes() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_document() -> None:
    ran = subprocess.run([sys.executable, "-c", LAYER], capture_output=True, text=True, check=True)
    most, grown = map(int, ran.stdout.split())
    assert grown < 30 << 10
    assert most < 300 << 10
