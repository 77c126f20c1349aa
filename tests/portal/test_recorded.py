"""Two exports of one real dataset at one instant, as bytes: they land as the same table."""

import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.dataset import Field
from ods_pipeline.errors import Unproven
from ods_pipeline.portal.exports import csv, parquet
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.schema import arrow_schema

RECORDED = Path(__file__).parents[1] / "recorded"
FIELDS = {
    "Identifiant station": Field("stationcode", "text", "Identifiant station"),
    "Nom de la station": Field("name", "text", "Nom de la station"),
    "Capacité de la station": Field("capacity", "int", "Capacité de la station"),
    "Coordonnées géographiques": Field("coordonnees_geo", "geo_point_2d"),
}
STATIONS = 1_496


def landed(batches: list[pa.RecordBatch], names: list[str]) -> pa.Table:
    fields = [FIELDS.get(name) or next(f for f in FIELDS.values() if f.name == name)
              for name in names]  # fmt: skip
    arrays = [
        pa.concat_arrays([typed(batch.column(place), field) for batch in batches])
        for place, field in enumerate(fields)
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(fields))


def from_csv(body: bytes) -> pa.Table:
    schema, batches = csv.read([body])
    return landed(list(batches), schema.names)


def from_parquet(body: bytes, folder: Path) -> pa.Table:
    with parquet.spooled([body], folder) as file:
        return landed(list(file.batches()), file.schema.names)


def test_the_recorded_csv_and_the_recorded_parquet_are_one_table(tmp_path: Path) -> None:
    by_csv = from_csv((RECORDED / "velib.csv").read_bytes())
    by_parquet = from_parquet((RECORDED / "velib.parquet").read_bytes(), tmp_path)
    assert by_csv.num_rows == STATIONS
    assert by_csv.schema.equals(by_parquet.schema, check_metadata=True)
    assert by_csv.equals(by_parquet)


def test_the_recorded_values_are_read_as_they_stand_in_the_file() -> None:
    table = from_csv((RECORDED / "velib.csv").read_bytes())
    first = table.slice(0, 1).to_pylist()[0]
    assert first == {
        "stationcode": "32017",
        "name": "Basilique",
        "capacity": 22,
        "coordonnees_geo": struct.pack("<BIdd", 1, 1, 2.3588666820200914, 48.93626891059109),
    }


def test_the_recorded_parquet_begins_with_an_empty_row_group_and_is_read_whole() -> None:
    assert pq.read_metadata(RECORDED / "velib.parquet").row_group(0).num_rows == 0


def test_the_recorded_exports_are_unproven_when_they_end_early(tmp_path: Path) -> None:
    body = (RECORDED / "velib.csv").read_bytes()
    for cut in (1, 2, 5, 20):
        with pytest.raises(Unproven):
            from_csv(body[:-cut])
    whole = (RECORDED / "velib.parquet").read_bytes()
    with pytest.raises(Unproven):
        from_parquet(whole[: len(whole) // 2], tmp_path)
