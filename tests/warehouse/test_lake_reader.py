"""`Lake`: what a sync has landed, read without a network in the form that somebody likes."""

import sys
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import pandas
import polars
import pyarrow as pa
import pytest

from ods_pipeline import Lake, Portal
from ods_pipeline.cli.main import cli
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError, LakeError
from tests.lake.landing import land
from tests.pages import read

ART = "public-art"
FORMS = ["table", "batches", "pandas", "geopandas", "polars", "relation"]
KINDS = [
    pa.Table,
    pa.RecordBatchReader,
    pandas.DataFrame,
    geopandas.GeoDataFrame,
    polars.DataFrame,
    duckdb.DuckDBPyRelation,
]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A data folder after a sync whose portal is gone, and the records as it gave them."""
    folder = tmp_path_factory.mktemp("data")
    with Emulator() as portal:
        places = ["--portal", portal.url, "--data-dir", str(folder)]
        with pytest.raises(SystemExit) as ended:
            cli([*places, "sync", ART, "--features"], standalone_mode=False)
        assert ended.value.code == 0
        records = Portal(portal.url).records(ART)
    return folder, records


def test_what_landed_is_what_the_portal_gave(synced: tuple[Path, pa.Table]) -> None:
    folder, records = synced
    lake = Lake(folder)
    table = lake.table(ART)
    assert table.schema.equals(records.schema, check_metadata=False)
    assert sorted(table.column("registryid").to_pylist()) == sorted(
        records.column("registryid").to_pylist()
    )
    assert lake.batches(ART).read_all().equals(table)
    assert lake.batches(ART).schema.equals(table.schema, check_metadata=True)


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize(("form", "kind"), list(zip(FORMS, KINDS, strict=True)))
def test_rows_come_in_every_form(
    synced: tuple[Path, pa.Table], form: str, kind: type, features: bool
) -> None:
    rows: Any = getattr(Lake(synced[0]), form)(ART, features=features)
    assert isinstance(rows, kind)
    rows = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
    columns = rows.column_names if isinstance(rows, pa.Table) else rows.columns
    assert ("gml_id" in columns) == features
    assert len(rows) == 665


def test_geometries_say_where_they_are(synced: tuple[Path, pa.Table]) -> None:
    lake = Lake(synced[0])
    assert geopandas.GeoDataFrame.from_arrow(lake.table(ART)).crs == "OGC:CRS84"
    frame = lake.geopandas(ART, features=True)
    assert frame.crs == "OGC:CRS84"
    relation = lake.relation(ART)
    assert "GEOMETRY('OGC:CRS84')" in map(str, relation.types)
    assert relation.aggregate("count(*)").fetchall() == [(665,)]


def test_the_list_of_what_landed_is_shown_in_a_notebook(synced: tuple[Path, pa.Table]) -> None:
    lake = Lake(synced[0])
    records, features = lake.datasets()
    assert (records.kind, features.kind) == ("records", "features")
    assert (records.dataset_id, records.title, records.rows) == (ART, "Public art", 665)
    assert records.data_as_of
    assert records.data_as_of.tzinfo
    assert "Public art" in read(lake.datasets()._repr_html_()).text
    assert "665 records" in read(records._repr_html_()).text
    assert lake.portals()[0] in read(lake._repr_html_()).text
    assert repr(lake) == f"Lake({str(synced[0])!r})"


def test_a_portal_is_named_by_its_address_or_its_name_on_disk(tmp_path: Path) -> None:
    for portal in ("a.test", "127.0.0.1_8765"):
        land(tmp_path, portal, "trees", title=portal)
    for name in ("127.0.0.1_8765", "127.0.0.1:8765", "http://127.0.0.1:8765/explore"):
        assert Lake(tmp_path, name).dataset("trees").title == "127.0.0.1_8765"
        assert Lake(tmp_path).dataset("trees", portal=name).title == "127.0.0.1_8765"
        assert len(Lake(tmp_path).datasets(name)) == 1
    assert len(Lake(tmp_path).datasets()) == 2
    with pytest.raises(ConfigurationError, match=r"name one of them, 127\.0\.0\.1_8765 or a\.test"):
        Lake(tmp_path).table("trees")
    for name in ("b.test", "%%"):
        with pytest.raises(ConfigurationError, match=f"nothing of {name} has landed"):
            Lake(tmp_path, name).datasets()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_there_or_damaged_is_told_in_every_form(tmp_path: Path, form: str) -> None:
    path = land(tmp_path, "a.test", "trees")
    with pytest.raises(ConfigurationError, match="did you mean trees"):
        getattr(Lake(tmp_path), form)("tree")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(LakeError, match="is damaged"):
        getattr(Lake(tmp_path), form)("trees")


def test_without_polars_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, "a.test", "trees")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigurationError, match="pip install polars"):
        Lake(tmp_path).polars("trees")


def test_an_integer_beside_a_null_keeps_its_last_bit(tmp_path: Path) -> None:
    land(tmp_path, "a.test", "trees")
    for rows in (Lake(tmp_path).pandas("trees"), Lake(tmp_path).geopandas("trees")):
        assert rows["people"].tolist()[2] == 2**53 + 1
