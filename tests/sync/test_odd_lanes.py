"""Odd values are the same table, or the same refusal, from Parquet, CSV and WFS."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import shapely

from ods_pipeline.emulator import Emulator, Quirks
from ods_pipeline.portal.exports import parquet
from ods_pipeline.sync.rules import Rules, TableRules
from tests.desk import Desk

LANES: list[dict[str, Any]] = [{"format": "parquet"}, {"format": "csv"}, {"features": True}]
HERE = {"name": "here", "type": "geo_point_2d"}
PLACE = {"lon": 2, "lat": 48}
NULLED = Rules(tables={"odd": TableRules(bad_values="null")})


def published(
    emulator: Emulator, declared: Mapping[str, str], given: Sequence[Any], dataset_id: str = "odd"
) -> None:
    """Publish texts in fields that are declared as something else."""
    fields = [*({"name": name, "type": "text"} for name in declared), HERE]
    records = [{**record, "here": PLACE} for record in given]
    emulator.publish(dataset_id, fields=fields, records=records)
    for name, kind in declared.items():
        emulator.claim(dataset_id, name, type=kind)


Came = tuple[Any, list[Any]]


def outcomes_of(
    desk: Desk, lane: Mapping[str, Any], ids: Sequence[str], **options: Any
) -> dict[str, Came]:
    """How a lane ended for some datasets, and what it landed of each."""
    kind, tail = ("features", " (features)") if "features" in lane else ("records", "")
    paths = {dataset_id: desk.lake.partition(kind, dataset_id) for dataset_id in ids}
    outcomes = desk.sync(**lane, **options)
    return {
        dataset_id: (
            outcomes[f"{dataset_id}{tail}"],
            pq.read_table(path).to_pylist() if path.exists() else [],
        )
        for dataset_id, path in paths.items()
    }


def outcome_of(desk: Desk, lane: Mapping[str, Any], **options: Any) -> Came:
    """The same for the only dataset."""
    return outcomes_of(desk, lane, ["odd"], **options)["odd"]


SUMMER, WINTER, ELSEWHERE = "2024-07-01T22:00:00Z", "2024-03-01T23:00:00Z", "2024-07-01T05:00:00Z"


@pytest.mark.parametrize("lane", LANES, ids=str)
def test_d3_midnights_of_two_places_are_seen_over_all_batches(
    tmp_path: Path, lane: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_PER_BATCH", 2)
    with Emulator(sample=False) as emulator:
        desk = Desk(emulator, tmp_path)
        published(emulator, {"day": "date"}, [{"day": SUMMER}] * 8 + [{"day": WINTER}] * 8)
        outcome, landed = outcome_of(desk, lane)
        assert outcome.action == "landed"
        assert "16 values of 'day': a moment that is midnight" in outcome.note
        assert {str(row["day"]) for row in landed} == {"2024-07-02", "2024-03-02"}
        published(emulator, {"day": "date"}, [{"day": SUMMER}] * 8 + [{"day": ELSEWHERE}] * 8)
        outcome, _ = outcome_of(desk, lane)
        assert outcome.verdict == "refused"
        assert "'day' is declared as date, but record" in outcome.reason


ODD: list[tuple[str, str, str, Any]] = [
    ("point", "geo_point_2d", "MULTIPOINT (2.5 48)", shapely.Point(2.5, 48)),
    ("point", "geo_point_2d", '["48", "2.5"]', shapely.Point(2.5, 48)),
    ("point", "geo_point_2d", "nan, nan", None),
    ("point", "geo_point_2d", "[null, null]", None),
    ("shape", "geo_shape", "POLYGON ((0 0, 1 0, 1 1, 0 1))", shapely.box(0, 0, 1, 1)),
    ("shape", "geo_shape", "LINESTRING (1 2)", None),
    ("shape", "geo_shape", '{"type": "FeatureCollection", "features": [{"type": "Feature", '
     '"properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}]}',
     shapely.GeometryCollection([shapely.Point(1, 2)])),
    ("shape", "geo_shape", '{"type": "LineString", "coordinates": [[0, 0, 1], [1, 1]]}',
     shapely.LineString([(0, 0), (1, 1)])),
    ("file", "file", "[2024] plan.pdf", "[2024] plan.pdf"),
    ("file", "file", "{'id': 'x', 'url': 'http://x/1'}", "http://x/1"),
    ("number", "double", "9007199254740993", 9007199254740992.0),
    ("number", "double", "12345.1234567890123", float("12345.1234567890123")),
    ("number", "double", "-.123456789012345678", float("-.123456789012345678")),
    ("number", "double", "1234567890123456789e-9", float("1234567890.123456789")),
    ("number", "double", "NaN", None),
    ("blob", "json_blob", '{"a": 1.10, "a": NaN}', '{"a": 1.10, "a": null}'),
]  # fmt: skip


def test_what_is_read_oddly_is_the_same_from_every_lane(tmp_path: Path) -> None:
    ids = {f"odd{number}": case for number, case in enumerate(ODD)}
    notes = defaultdict(set)
    with Emulator(sample=False) as emulator:
        for dataset_id, (name, kind, written, _) in ids.items():
            published(emulator, {name: kind}, [{name: written}], dataset_id)
        for place, lane in enumerate(LANES):
            came = outcomes_of(Desk(emulator, tmp_path / str(place)), lane, [*ids])
            for dataset_id, (name, _, written, expected) in ids.items():
                outcome, landed = came[dataset_id]
                assert outcome.action == "landed", (written, lane, outcome)
                (row,) = landed
                value = row[name]
                if isinstance(value, bytes):
                    value = shapely.from_wkb(value)
                    assert value.equals(expected), (written, lane)
                else:
                    assert value == expected, (written, lane)
                notes[written].add(outcome.note)
    assert all(len(said) == 1 for said in notes.values()), notes


BAD = [
    ("point", "geo_point_2d", "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
    ("point", "geo_point_2d", "6862000, 652000"),
    ("point", "geo_point_2d", "nan, 2"),
    ("shape", "geo_shape", json.dumps({"type": "Point", "coordinates": [652000, 6862000]})),
    ("shape", "geo_shape", "0107000000010000000101000020" + "6a08" + "00" * 18),
    ("number", "double", "NAN(1)"),
    ("number", "double", "1e400"),
]


def test_what_is_bad_is_bad_in_every_lane_and_null_where_a_user_says_so(tmp_path: Path) -> None:
    ids = {f"bad{number}": case for number, case in enumerate(BAD)}
    nulled = Rules(tables=dict.fromkeys(ids, TableRules(bad_values="null")))
    with Emulator(sample=False) as emulator:
        for dataset_id, (name, kind, written) in ids.items():
            published(emulator, {name: kind}, [{name: written}, {name: None}], dataset_id)
        for place, lane in enumerate(LANES):
            desk = Desk(emulator, tmp_path / str(place))
            refused = outcomes_of(desk, lane, [*ids])
            taken = outcomes_of(desk, lane, [*ids], rules=nulled)
            for dataset_id, (name, kind, written) in ids.items():
                outcome, _ = refused[dataset_id]
                assert outcome.verdict == "refused", (written, lane, outcome)
                assert f"'{name}' is declared as {kind}, but record 1" in outcome.reason
                outcome, landed = taken[dataset_id]
                assert outcome.action == "landed", (written, lane, outcome)
                assert [row[name] for row in landed] == [None, None]


@pytest.mark.parametrize("place", [{"lon": 2, "lat": 95}, {"lon": 400, "lat": 48}])
def test_a_point_that_is_no_place_is_bad_in_every_lane(
    tmp_path: Path, place: dict[str, float]
) -> None:
    with Emulator(sample=False) as emulator:
        records = [{"here": PLACE}, {"here": place}]
        emulator.publish("odd", fields=[HERE], records=records)
        for number, lane in enumerate([*LANES, {"features": True, "wfs_version": "2.0.0"}]):
            desk = Desk(emulator, tmp_path / str(number))
            outcome, _ = outcome_of(desk, lane)
            assert outcome.verdict == "refused"
            assert "'here' is declared as geo_point_2d, but record 2 holds" in outcome.reason
            _, landed = outcome_of(desk, lane, rules=NULLED)
            assert [row["here"] is None for row in landed] == [False, True]


@pytest.mark.parametrize("multivalued", ["joined", "list"])
def test_lists_of_one_land_alike(tmp_path: Path, multivalued: str) -> None:
    fields = [{"name": "open", "type": "text", "annotations": {"multivalued": [","]}}, HERE]
    with Emulator(sample=False, quirks=Quirks(multivalued=multivalued)) as emulator:
        records = [{"open": ["true"], "here": PLACE}, {"open": ["false"], "here": PLACE}]
        emulator.publish("odd", fields=fields, records=records)
        emulator.claim("odd", "open", type="boolean", annotations={})
        for place, lane in enumerate(LANES):
            _, landed = outcome_of(Desk(emulator, tmp_path / str(place)), lane)
            assert [row["open"] for row in landed] == [True, False]


@pytest.mark.parametrize("first", ["\ufeffa", "a"])
def test_a_name_and_the_same_after_a_byte_order_mark_are_two_fields(
    tmp_path: Path, first: str
) -> None:
    second = "a" if first != "a" else "\ufeffa"
    fields = [{"name": first, "type": "int"}, {"name": second, "type": "int"}]
    with Emulator(sample=False) as emulator:
        emulator.publish("odd", fields=fields, records=[{first: 1, second: 2}])
        for place, lane in enumerate(LANES[:2]):
            _, landed = outcome_of(Desk(emulator, tmp_path / str(place)), lane)
            assert landed == [{first: 1, second: 2}]
