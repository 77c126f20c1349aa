"""A page, an empty body or a part replaces no good export, and what is whole is never refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_export import export_catalog, export_dataset
from tests.desk import TOWN_FIELDS, TOWNS

LONG = [{"code": "x" * 200_000, "n": 1, "where": None}, {"code": None, "n": None, "where": None}]
OF_DATASETS = ["jsonld", "n3", "ov2", "rdfxml", "turtle", "shp", "xlsx", "kml", "gpx", "fgb"]
OF_CATALOGS = ["rdf", "ttl", "rss", "data.json", "dcat", "dcat_ap_de", "csv", "json", "xlsx"]
LIES = {
    "a page": Fault.html(as_data=True),
    "nothing": Fault.empty_body(),
    "half": Fault.short_body(250),
    "but its last bytes": Fault.short_body(-3),
    "a text": Fault.text_instead(),
    "an error": Fault.error_instead(),
}


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
        emulator.publish("long", TOWN_FIELDS, LONG, {"title": "Long"})
        emulator.publish("none", TOWN_FIELDS, [], {"title": "None"})
        yield emulator


@pytest.fixture
def portal(served: Emulator) -> Iterator[Portal]:
    yield Portal(served.url, pause=0)
    served.faults.clear()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("format", OF_DATASETS)
def test_of_a_dataset_the_old_file_stays(
    served: Emulator, portal: Portal, tmp_path: Path, format: str, lie: str
) -> None:
    target = tmp_path / "towns"
    export_dataset(portal, "towns", format, target, {})
    before = target.read_bytes()
    served.fail(f"towns/exports/{format}", LIES[lie], None)
    with pytest.raises(OdsPipelineError):
        export_dataset(portal, "towns", format, target, {})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("format", OF_CATALOGS)
def test_of_the_catalog_the_old_file_stays(
    served: Emulator, portal: Portal, tmp_path: Path, format: str, lie: str
) -> None:
    target = tmp_path / "catalog"
    export_catalog(portal, format, target, {})
    before = target.read_bytes()
    served.fail(f"catalog/exports/{format}", LIES[lie], None)
    with pytest.raises(OdsPipelineError):
        export_catalog(portal, format, target, {})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "xlsx", "parquet", "geojson"])
@pytest.mark.parametrize(("name", "records"), [("long", 2), ("none", 0)])
def test_long_values_and_no_records_are_whole(
    portal: Portal, tmp_path: Path, name: str, records: int, format: str
) -> None:
    file = export_dataset(portal, name, format, tmp_path / name, {})
    assert file.proof == f"{records} records = live count {records}"


@pytest.mark.parametrize("delimiter", [None, ",", "|", "\t"])
def test_one_column_is_one_whatever_its_name_holds(
    portal: Portal, tmp_path: Path, delimiter: str | None
) -> None:
    asked = {"delimiter": delimiter} if delimiter else {}
    for select in ("n as `a, b; c`", "code", "length(code)"):
        asked["select"] = select
        file = export_dataset(portal, "towns", "csv", tmp_path / "towns", asked)
        assert file.records == len(TOWNS)


@pytest.mark.parametrize("lie", LIES)
def test_of_a_packed_export_the_old_file_stays(
    served: Emulator, portal: Portal, tmp_path: Path, lie: str
) -> None:
    target, packed = tmp_path / "towns.gz", {"compressed": True}
    export_dataset(portal, "towns", "csv", target, packed)
    before = target.read_bytes()
    cut = Fault.short_body(100) if lie == "half" else LIES[lie]
    served.fail("towns/exports/csv", cut, None)
    with pytest.raises(OdsPipelineError):
        export_dataset(portal, "towns", "csv", target, packed)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
