"""Parquet and CSV of one dataset land as the same table, which is what was published."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from ods_pipeline.emulator import Emulator, Quirks
from ods_pipeline.portal.exports.export import Format
from ods_pipeline.portal.portal import Portal
from tests.portal.generated import Generated, datasets, every_type

LISTS = [{"name": "tags", "type": "text", "annotations": {"multivalued": [","]}}]
PLENTY = 10**9


@pytest.fixture(scope="module")
def usual() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=PLENTY) as running:
        yield running


@pytest.fixture(scope="module")
def unusual() -> Iterator[Emulator]:
    quirks = Quirks(multivalued="list", files="struct", short_dates="string", empty_row_group=False)
    with Emulator(sample=False, quota=PLENTY, quirks=quirks) as running:
        yield running


def lands_as_published(emulator: Emulator, published: Generated) -> None:
    emulator.publish("generated", fields=published.fields, records=published.records)
    portal = Portal(emulator.url)
    formats: tuple[Format, ...] = ("parquet", "csv")
    for format in formats:
        table = portal.records("generated", format)
        table.validate(full=True)
        assert plain(table.schema).equals(published.table.schema, check_metadata=True), format
        assert table.to_pylist() == published.table.to_pylist(), format
        assert table.equals(published.table), format


def plain(schema: pa.Schema) -> pa.Schema:
    """A schema without what says to GeoArrow's readers which columns are geometries."""
    said = [
        {key: text for key, text in (item.metadata or {}).items() if not key.startswith(b"ARROW:")}
        for item in schema
    ]
    for item in schema:
        kind = item.metadata[b"ods_type"]
        assert (b"ARROW:extension:name" in item.metadata) == kind.startswith(b"geo_")
    return pa.schema([item.with_metadata(text) for item, text in zip(schema, said, strict=True)])


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@example(every_type(0))
@example(every_type(3))
@given(datasets())
def test_every_value_lands_the_same_through_either_export(
    usual: Emulator, published: Generated
) -> None:
    lands_as_published(usual, published)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@example(every_type(0))
@example(every_type(3))
@given(datasets())
def test_every_value_lands_the_same_from_a_portal_with_lists_and_structs_in_parquet(
    unusual: Emulator, published: Generated
) -> None:
    lands_as_published(unusual, published)


@pytest.mark.parametrize(
    "values",
    [
        [["a", "b"], ["c"]],
        [["Parks, recreation, and pets", "Trees"]],
        [[",", ""], ["", ""], None, [], [""]],
        [["one"], None],
    ],
)
def test_lists_are_told_apart_whether_parquet_joins_them_or_not(
    usual: Emulator, unusual: Emulator, values: list[Any]
) -> None:
    expected = [None if value in ([], [""], None) else value for value in values]
    for emulator in (usual, unusual):
        emulator.publish("lists", fields=LISTS, records=[{"tags": value} for value in values])
        for format in ("parquet", "csv"):
            table = Portal(emulator.url).records("lists", format)  # type: ignore[arg-type]
            assert table.column("tags").to_pylist() == expected
            assert table.schema.field("tags").type == pa.list_(pa.string())


def test_csv_is_read_instead_only_where_parquet_joined_lists_that_hold_the_separator(
    usual: Emulator,
) -> None:
    def asked(values: list[Any]) -> list[str]:
        usual.publish("lists", fields=LISTS, records=[{"tags": value} for value in values])
        usual.requests.clear()
        Portal(usual.url).records("lists")
        return [r.path.rsplit("/", 1)[-1] for r in usual.requests if "/exports/" in r.path]

    assert asked([["alone"], None]) == ["parquet"]
    assert asked([["a", "b"]]) == ["parquet", "csv"]


def test_a_selection_keeps_declared_types_and_gives_the_rest_as_the_export_does(
    usual: Emulator,
) -> None:
    fields = [{"name": "12", "type": "int"}, {"name": "day", "type": "date"}]
    usual.publish("d", fields=fields, records=[{"12": n, "day": "2024-01-01"} for n in range(5)])
    portal = Portal(usual.url)
    for format in ("parquet", "csv"):
        table = portal.records("d", format, select=["`12`"], where="`12` > 2")  # type: ignore[arg-type]
        assert table.schema.names == ["12"]
        assert sorted(table.column("12").to_pylist()) == [3, 4]
        assert portal.records("d", format, limit=2).num_rows == 2  # type: ignore[arg-type]
