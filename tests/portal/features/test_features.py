"""Features: the same columns, values and geometries as the records, proven or refused."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import geopandas
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings

from ods_pipeline.dataset import Dataset
from ods_pipeline.emulator import Emulator, Fault, Quirks, WfsQuirks
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    DataError,
    GmlRefused,
    NotAPortal,
    NothingToLand,
    OdsPipelineError,
    PortalFailure,
    SchemaMismatch,
    ServiceException,
    TypeMismatch,
    Unproven,
)
from ods_pipeline.portal.features import features
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import VERSIONS, Version, Wfs, type_name
from ods_pipeline.tables.schema import with_geoarrow
from tests.portal.generated import Generated, datasets, every_type

PLENTY = 10**9
PLACE = [{"name": "here", "type": "geo_point_2d"}]
HERE = {"here": {"lon": 2.25, "lat": 48.5}}


@pytest.fixture(scope="module")
def sample() -> Iterator[Portal]:
    with Emulator(quota=PLENTY) as running:
        yield Portal(running.url)


@pytest.fixture(scope="module")
def layers(sample: Portal) -> Sequence[Dataset]:
    found = [d for d in sample.datasets() if d.geographic and d.data_visible]
    assert len(found) >= 7
    return found


def read(portal: Portal, dataset_id: str, version: Version = "1.1.0", **options: Any) -> pa.Table:
    """The features as an Arrow table, proven."""
    dataset = portal.dataset(dataset_id)
    with features.opened(portal.client, dataset, version=version, **options) as export:
        table = pa.Table.from_batches(export.batches, export.schema)
    features.prove(portal.client, dataset, table.num_rows, version)
    return table


def told(table: pa.Table) -> list[dict[str, Any]]:
    """Rows in an order that does not depend on where they came from."""
    return sorted(table.to_pylist(), key=repr)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sample_portals_features_are_its_records(
    sample: Portal, layers: Sequence[Dataset], version: Version
) -> None:
    for dataset in layers:
        table = read(sample, dataset.dataset_id, version)
        records = sample.records(dataset.dataset_id)
        assert table.schema.names == ["gml_id", *records.schema.names]
        assert table["gml_id"].null_count == 0
        plain = table.drop_columns(["gml_id"])
        assert with_geoarrow(plain.schema).equals(records.schema, check_metadata=True)
        assert told(plain) == told(records), dataset.dataset_id


def test_a_layer_is_a_geodataframe_like_a_landed_partition(sample: Portal, tmp_path: Any) -> None:
    layer = sample.features("public-art")
    assert isinstance(layer, geopandas.GeoDataFrame)
    assert layer.geometry.name == "geom"
    for name in ("geom", "geo_point_2d"):
        assert isinstance(layer[name], geopandas.GeoSeries)
        assert layer[name].crs == "OGC:CRS84"
    rows = len(layer)
    assert layer.attrs["proof"] == f"{rows} features = hits {rows} = live count {rows}"
    assert layer.attrs["notes"] == []
    layer.to_parquet(tmp_path / "layer.parquet")
    back = geopandas.read_parquet(tmp_path / "layer.parquet")
    pd.testing.assert_series_equal(layer.dtypes, back.dtypes)


def test_only_the_fields_selected_are_asked_for_and_given(emulator: Emulator) -> None:
    fields = [*PLACE, {"name": "a", "type": "int"}, {"name": "b", "type": "text"}]
    emulator.publish("d", fields=fields, records=[{**HERE, "a": 1, "b": "x"}])
    portal = Portal(emulator.url)
    asked = {"1.1.0": "ods:d/a,ods:d/here", "2.0.0": "a,here"}
    for version in VERSIONS:
        emulator.requests.clear()
        layer = portal.features("d", version, select=["here", "a"])
        assert list(layer.columns) == ["gml_id", "here", "a"]
        sent = [r.query.get("propertyName") for r in emulator.requests if r.path == "/api/wfs"]
        assert sent[0] is not None
        assert sorted(sent[0].split(",")) == asked[version].split(",")
    plain = portal.features("d", select=["b"])
    assert list(plain.columns) == ["gml_id", "b"]
    with pytest.raises(ConfigurationError, match="no field 'c'"):
        portal.features("d", select=["c"])


def test_a_field_called_gml_id_keeps_its_name(emulator: Emulator) -> None:
    fields = [*PLACE, {"name": "gml_id", "type": "text"}]
    emulator.publish("d", fields=fields, records=[{**HERE, "gml_id": "mine"}])
    layer = Portal(emulator.url).features("d")
    assert list(layer.columns) == ["_gml_id", "here", "gml_id"]
    assert list(layer["gml_id"]) == ["mine"]


def xml_can_hold(published: Generated) -> bool:
    """Whether there is nothing in it that XML 1.0 has no way to write."""
    text = repr(published.table.to_pylist())
    low = [f"\\x{code:02x}" for code in range(32) if code not in {9, 10, 13}]
    return not any(code in text for code in low) and "\\ufff" not in text


def lands_as_its_records(emulator: Emulator, published: Generated) -> None:
    assume(xml_can_hold(published))
    fields = [*published.fields, {"name": "zz_place", "type": "geo_point_2d"}]
    records = [{**record, "zz_place": HERE["here"]} for record in published.records]
    emulator.publish("generated", fields=fields, records=records)
    portal = Portal(emulator.url)
    expected = told(portal.records("generated", "csv"))
    for version in VERSIONS:
        assert told(read(portal, "generated", version).drop_columns(["gml_id"])) == expected


FORMS = {
    "usual": WfsQuirks(),
    "other": WfsQuirks(
        srs="crs84",
        nulls="nil",
        lists="repr",
        datetimes="T",
        booleans="lower",
        members="all",
        short_dates="whole",
    ),
    "third": WfsQuirks(srs="http", nulls="empty", booleans="number", ids="record", multi="curved"),
}


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    quirks = Quirks(wfs=FORMS[request.param])
    with Emulator(sample=False, quota=PLENTY, quirks=quirks) as running:
        yield running


@settings(deadline=None, max_examples=25)
@example(every_type(0))
@example(every_type(3))
@given(datasets())
def test_every_value_lands_as_in_the_records_whatever_form_it_comes_in(
    form: Emulator, published: Generated
) -> None:
    lands_as_its_records(form, published)


def of(quirks: WfsQuirks) -> Emulator:
    return Emulator(sample=False, quota=PLENTY, quirks=Quirks(wfs=quirks))


SHORT = ("short_lonlat", "short_latlon", "gml_lonlat", "none_lonlat", "none_latlon")


@pytest.mark.parametrize("srs", SHORT)
def test_an_open_axis_order_is_settled_by_the_datasets_extent_and_noted(srs: str) -> None:
    box = {"type": "Polygon", "coordinates": [[[2, 48], [3, 48], [3, 49], [2, 49], [2, 48]]]}
    for bbox in (box, {"type": "Feature", "geometry": box, "properties": {}}):
        with of(WfsQuirks(srs=srs)) as emulator:
            emulator.publish("d", fields=PLACE, records=[HERE])
            emulator.describe("d", bbox=bbox)
            layer = Portal(emulator.url).features("d")
            assert layer.geometry[0].coords[0] == (2.25, 48.5)
            assert len(layer.attrs["notes"]) == 1


def test_an_open_axis_order_is_what_the_user_says_it_is() -> None:
    with of(WfsQuirks(srs="short_latlon")) as emulator:
        emulator.publish("d", fields=PLACE, records=[HERE])
        portal = Portal(emulator.url)
        assert portal.features("d", axis_order="latlon").geometry[0].coords[0] == (2.25, 48.5)
        assert portal.features("d", axis_order="lonlat").geometry[0].coords[0] == (48.5, 2.25)


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        (None, None),
        ({}, None),
        ("text", None),
        ({"type": "Feature", "geometry": None}, None),
        ({"type": "Polygon", "coordinates": []}, None),
        ({"type": "Point", "coordinates": [2, 48]}, (2, 48, 2, 48)),
        ({"type": "Point", "coordinates": [2, 148]}, None),
        ({"type": "Nothing"}, None),
        ([1, 2], None),
    ],
)
def test_an_extent_that_cannot_be_read_is_none(bbox: object, expected: object) -> None:
    assert features.extent(Dataset("p", "d", metas={"default": {"bbox": bbox}})) == expected
    assert features.extent(Dataset("p", "d", metas={"default": None})) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.cut(900), (PortalFailure, Unproven)),
        (Fault.short_rows(1), (Unproven,)),
        (Fault.header_only(), (Unproven, AccessDenied)),
        (Fault.appended_error(), (ServiceException, Unproven)),
        (Fault.exception_report(after_features=2), (ServiceException,)),
        (Fault.exception_report(after_features=2, ends=False), (ServiceException,)),
        (Fault.html(), (NotAPortal,)),
        (Fault.status(403), (AccessDenied,)),
        (Fault.empty_body(), (PortalFailure, Unproven)),
    ],
    ids=lambda given: getattr(given, "kind", None),
)
def test_a_spoiled_answer_is_an_error_and_never_a_shorter_layer(
    emulator: Emulator,
    fault: Fault,
    kind: tuple[type[OdsPipelineError], ...],
    version: Version,
) -> None:
    emulator.publish("d", fields=PLACE, records=[HERE] * 20)
    portal = Portal(emulator.url)
    portal.client._attempts = 1
    emulator.fail("/api/wfs.*(?<!hits)$", fault, times=None)
    with pytest.raises(kind) as failure:
        portal.features("d", version)
    assert emulator.url in failure.value.url or isinstance(failure.value, Unproven | AccessDenied)


def test_the_number_of_features_is_the_proof_and_of_records_where_there_is_none() -> None:
    for quirks, said in [
        (WfsQuirks(), "3 features = hits 3 = live count 3"),
        (WfsQuirks(hits="refused"), "3 features = live count 3"),
        (WfsQuirks(hits="unknown"), "3 features = live count 3"),
    ]:
        with of(quirks) as emulator:
            emulator.publish("d", fields=PLACE, records=[HERE] * 3)
            for version in VERSIONS:
                assert Portal(emulator.url).features("d", version).attrs["proof"] == said


def test_a_wrong_number_of_features_is_never_taken() -> None:
    for off, said in [(1, "3 features came where the WFS counts 4"), (-1, "counts 2; nothing")]:
        with of(WfsQuirks(hits_off=off, counts="absent")) as emulator:
            emulator.publish("d", fields=PLACE, records=[HERE] * 3)
            for version in VERSIONS:
                with pytest.raises(Unproven) as failure:
                    Portal(emulator.url).features("d", version)
                if version == "1.1.0":
                    assert said in str(failure.value)


def test_a_server_that_caps_its_hits_as_well_does_not_prove_a_part() -> None:
    with of(WfsQuirks(hits_off=-2, counts="absent")) as emulator:
        emulator.publish("d", fields=PLACE, records=[HERE] * 5)
        emulator.fail("/api/wfs.*(?<!hits)$", Fault.short_rows(2), times=None)
        with pytest.raises(
            Unproven, match=r"3 features came where the portal counts 5 records.*cap"
        ):
            Portal(emulator.url).features("d")


def test_records_without_a_geometry_may_be_no_features() -> None:
    with of(WfsQuirks(hits="refused")) as emulator:
        emulator.publish("d", fields=PLACE, records=[HERE, HERE, {}])
        portal = Portal(emulator.url)
        proof = features.prove(portal.client, portal.dataset("d"), 2)
        assert str(proof) == "2 features = the 2 of 3 records that have a geometry"


def test_a_layer_of_nothing_is_empty_and_typed(emulator: Emulator) -> None:
    emulator.publish("d", fields=[*PLACE, {"name": "n", "type": "int"}], records=[])
    for version in VERSIONS:
        layer = Portal(emulator.url).features("d", version)
        assert layer.shape == (0, 3)
        assert layer.crs == "OGC:CRS84"


def test_features_that_are_hidden_are_access_denied_and_not_an_empty_layer(
    emulator: Emulator,
) -> None:
    emulator.publish("d", fields=PLACE, records=[])
    portal = Portal(emulator.url)
    dataset = portal.dataset("d")
    claimed = replace(dataset, metas={"default": {"records_count": 5}})
    with pytest.raises(AccessDenied, match="WFS shows 0 of the 5 records"):
        features.prove(portal.client, claimed, 0)
    emulator.restrict("d")
    with pytest.raises(AccessDenied, match="don't have permission"):
        portal.features("d")


def test_a_dataset_without_geography_has_no_layer(emulator: Emulator) -> None:
    emulator.publish("d", fields=[{"name": "a", "type": "int"}], records=[{"a": 1}])
    with pytest.raises(NothingToLand, match="no geographic field"):
        Portal(emulator.url).features("d")


def test_a_portal_that_speaks_the_other_version_alone_says_so() -> None:
    with of(WfsQuirks(version="2.0.0")) as emulator:
        emulator.publish("d", fields=PLACE, records=[HERE])
        portal = Portal(emulator.url)
        with pytest.raises(OdsPipelineError, match=r"WFS 2\.0\.0 where 1\.1\.0 was asked for"):
            portal.features("d")
        assert len(portal.features("d", "2.0.0")) == 1


def test_fields_that_were_retyped_in_the_meantime_are_not_landed(
    emulator: Emulator,
) -> None:
    fields = [*PLACE, {"name": "a", "type": "text"}]
    emulator.publish("d", fields=fields, records=[{**HERE, "a": "x"}])
    portal = Portal(emulator.url)
    dataset = portal.dataset("d")
    typed = replace(dataset, fields=(dataset.fields[0], replace(dataset.fields[1], type="int")))
    flat = replace(dataset, fields=(replace(dataset.fields[0], type="text"), dataset.fields[1]))
    for changed, kind, said in [
        (typed, TypeMismatch, "field 'a' is declared as int, but record 1 holds 'x'"),
        (flat, SchemaMismatch, "'here' is declared as text, but features have geometries"),
    ]:
        with (
            pytest.raises(kind, match=said) as failure,
            features.opened(portal.client, changed) as export,
        ):
            list(export.batches)
        assert isinstance(failure.value, DataError)
        assert not isinstance(failure.value, GmlRefused)


def test_get_and_post_give_the_same_features_and_the_same_number_of_them(
    sample: Portal, layers: Sequence[Dataset]
) -> None:
    def whole(wfs: Wfs, dataset_id: str) -> str:
        with wfs.features(dataset_id) as chunks:
            return re.sub(r'timeStamp="[^"]*"', "", b"".join(chunks).decode())

    for dataset in layers:
        asked, posted = sample.wfs(), sample.wfs(method="POST")
        assert whole(asked, dataset.dataset_id) == whole(posted, dataset.dataset_id)
        assert asked.hits(dataset.dataset_id) == posted.hits(dataset.dataset_id)
        assert asked.describe(dataset.dataset_id) == posted.describe(dataset.dataset_id)
    sections = ["OperationsMetadata", "FeatureTypeList"]
    assert asked.capabilities(sections) == posted.capabilities(sections)


def test_the_capabilities_name_every_layer_and_its_extent(
    sample: Portal, layers: Sequence[Dataset]
) -> None:
    for version in VERSIONS:
        read = sample.wfs(version).capabilities(["FeatureTypeList"])
        assert read.version == version
        for dataset in layers:
            found = read.feature_type(type_name(dataset.dataset_id))
            assert found is not None
            assert found.title == dataset.title
            stated = features.extent(dataset)
            assert stated is None or found.bounds == pytest.approx(stated)
            (described,) = sample.wfs(version).describe(dataset.dataset_id).values()
            assert [item.name for item in described] == [field.name for field in dataset.fields]
            geometries = [item.name for item in described if item.geometry]
            assert geometries == [field.name for field in dataset.geographic]


def test_stored_queries_are_listed_and_described_in_two(sample: Portal) -> None:
    wfs = sample.wfs("2.0.0")
    assert wfs.stored_queries()[0].id.endswith("GetFeatureById")
    assert wfs.describe_stored_queries()[0].parameters


def test_names_that_are_none_in_xml_are_read_like_others(emulator: Emulator) -> None:
    fields = [*PLACE, {"name": "2024", "type": "int"}]
    for name in ("2024-arbres", "arbres@autre-portail", "9"):
        emulator.publish(name, fields=fields, records=[{**HERE, "2024": 7}] * 3)
        for version in VERSIONS:
            layer = Portal(emulator.url).features(name, version)
            assert list(layer["2024"]) == [7, 7, 7]
