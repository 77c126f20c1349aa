"""Every documented parameter of the WFS, by GET and by POST, from Python to rows."""

from collections.abc import Iterator
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import GmlRefused, RequestRefused, ServiceException
from ods_pipeline.portal.gml import read_gml
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import Method, Version, Wfs

SPOKEN: list[tuple[Version, Method]] = [("1.1.0", "GET"), ("1.1.0", "POST"), ("2.0.0", "GET")]
FIELDS = [
    {"name": "name", "type": "text"},
    {"name": "n", "type": "int"},
    {"name": "geo", "type": "geo_point_2d"},
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        for layer, rows in (("towns", 3), ("trees", 2)):
            records = [
                {"name": f"{layer} {n}", "n": n, "geo": {"lon": n, "lat": 48}} for n in range(rows)
            ]
            emulator.publish(layer, FIELDS, records)
        yield emulator


@pytest.fixture(params=SPOKEN, ids="-".join)
def wfs(request: pytest.FixtureRequest, emulator: Emulator) -> Wfs:
    version, method = request.param
    return Portal(emulator.url).wfs(version, method=method)


def body(wfs: Wfs, *args: Any, **options: Any) -> bytes:
    with wfs.features(*args, **options) as chunks:
        return b"".join(chunks)


def names(document: bytes, layer: str = "") -> list[str]:
    return list(read_gml(document, feature_type=layer)["name"])


def test_sections_are_those_that_are_asked_for(wfs: Wfs) -> None:
    whole = wfs.capabilities()
    assert {"GetCapabilities", "DescribeFeatureType", "GetFeature"} <= {*whole.operations}
    assert (whole.title, whole.provider) == ("Emulated portal", "Emulated portal")
    assert wfs.version in whole.versions
    assert [layer.name for layer in whole.feature_types] == ["ods:towns", "ods:trees"]
    shown = {
        section: wfs.capabilities([section])
        for section in (
            *("ServiceIdentification", "ServiceProvider"),
            *("OperationsMetadata", "FeatureTypeList"),
        )
    }
    assert [bool(each.title) for each in shown.values()] == [True, False, False, False]
    assert [bool(each.provider) for each in shown.values()] == [False, True, False, False]
    assert [bool(each.operations) for each in shown.values()] == [False, False, True, False]
    assert [bool(each.feature_types) for each in shown.values()] == [False, False, False, True]
    with pytest.raises(ServiceException, match="Nothing does not exist"):
        wfs.capabilities(["Nothing"])


def test_the_first_version_that_both_know_comes(emulator: Emulator) -> None:
    for method, came in (("GET", "2.0.0"), ("POST", "1.1.0")):
        service = Portal(emulator.url).wfs(method=method)
        both: list[Version] = ["2.0.0", "1.1.0"]
        assert service.capabilities(accept_versions=both).version == came
        assert service.capabilities(accept_versions=["1.1.0"]).version == "1.1.0"
    unknown: Any = ["1.0.0"]
    with pytest.raises(ServiceException, match=r"None of the versions 1\.0\.0 is supported"):
        Portal(emulator.url).wfs().capabilities(accept_versions=unknown)


def test_a_version_that_was_not_accepted_is_refused(emulator: Emulator) -> None:
    asked = Portal(emulator.url).wfs("1.1.0")
    assert asked.capabilities(accept_versions=["2.0.0"]).version == "2.0.0"
    with Emulator(sample=False) as other:
        other.state.quirks.wfs.__dict__["version"] = "2.0.0"
        with pytest.raises(RequestRefused, match=r"WFS 2\.0\.0 where 1\.1\.0 was asked for"):
            Portal(other.url).wfs("1.1.0").capabilities()


def test_some_types_or_all_are_described(wfs: Wfs) -> None:
    described = wfs.describe("trees", "towns")
    assert {*described} == {"towns", "trees"} == {*wfs.describe()}
    assert {*wfs.describe("ods:trees")} == {"trees"}
    kinds = {item.name: item.type for item in described["towns"]}
    assert kinds == {"name": "string", "n": "long", "geo": "PointPropertyType"}


def test_several_types_come_in_one_document_and_are_read_one_by_one(wfs: Wfs) -> None:
    document = body(wfs, ["towns", "trees"])
    assert names(document, "towns") == ["towns 0", "towns 1", "towns 2"]
    assert names(document, "ods:trees") == ["trees 0", "trees 1"]
    with pytest.raises(GmlRefused, match="'towns', 'trees': name one with feature_type="):
        read_gml(document)


def test_hits_are_of_all_types_together(wfs: Wfs) -> None:
    assert (wfs.hits("towns"), wfs.hits(["towns", "trees"])) == (3, 5)
    assert wfs.hits("towns", feature_id=["towns.1", "towns.3"]) == 2


def test_a_maximum_is_of_all_types_together(wfs: Wfs) -> None:
    document = body(wfs, ["towns", "trees"], max_features=4)
    read = [
        len(read_gml(document, feature_type=layer, partial=True)) for layer in ("towns", "trees")
    ]
    assert read == [3, 1]


def test_properties_are_of_one_type_or_of_each(wfs: Wfs) -> None:
    assert {*read_gml(body(wfs, "towns", properties=["name", "geo"]))} == {"gml_id", "name", "geo"}
    document = body(wfs, ["towns", "trees"], properties={"trees": ["geo"]})
    assert {*read_gml(document, feature_type="towns")} == {"gml_id", "name", "n", "geo"}
    assert {*read_gml(document, feature_type="trees")} == {"gml_id", "geo"}


def test_features_are_had_by_their_identifiers(wfs: Wfs) -> None:
    document = body(wfs, ["towns", "trees"], feature_id=["towns.2", "trees.1"])
    assert names(document, "towns") == ["towns 1"]
    assert names(document, "trees") == ["trees 0"]
    assert names(body(wfs, "towns", feature_id=["towns.3"])) == ["towns 2"]
