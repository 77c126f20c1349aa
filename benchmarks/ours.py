"""What ods_pipeline does in each task, called as its users call it."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.portal import DATASET, DOCUMENT, LAYERS, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18


def land_parquet(url: str, folder: Path) -> Path:
    """A proven partition from the Parquet export."""
    return _land(url, folder, "parquet")


def land_csv(url: str, folder: Path) -> Path:
    """A proven partition from the CSV export."""
    return _land(url, folder, "csv")


def land_gml(url: str, folder: Path) -> Path:
    """A proven partition from the document: what landing features does with the portal's answer."""
    from ods_pipeline.portal import features
    from ods_pipeline.portal.feature_columns import FeatureColumns
    from ods_pipeline.portal.gml import Collection
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.geometry import primary
    from ods_pipeline.tables.lake import Lake
    from ods_pipeline.tables.partition import PartitionWriter
    from ods_pipeline.tables.receipt import Receipt

    portal = Portal(url)
    dataset = portal.dataset(DATASET)
    held = {*PROPERTIES, *LAYERS["polygons"]}
    fields = [field for field in dataset.fields if field.name in held]
    schema = features.schema(dataset, [field.name for field in fields])
    lake = Lake.of(folder, portal.slug)
    target = lake.partition("features", DATASET)
    collection = Collection(
        _chunks(folder / DOCUMENT), extent=features.extent(dataset), crs="OGC:CRS84"
    )
    typing = FeatureColumns(portal.client, dataset, fields, schema)
    with PartitionWriter(lake, target, schema, primary(fields)) as writer:
        for batch in collection:
            writer.write(typing.typed(batch))
        # The reader holds the features against the document's own count; this is the catalog's.
        if not collection.declared.matched == writer.content.rows == dataset.records_count:
            raise RuntimeError(f"{writer.content.rows} features of {dataset.records_count}")
        writer.publish(Receipt.of(dataset, "features", format="gml"))
    return target


def sync_parquet(url: str, folder: Path) -> Path:
    """`ods-pipeline sync`: proven partition and warehouse table, from Parquet."""
    return _command(url, folder, "sync")


def sync_csv(url: str, folder: Path) -> Path:
    """The same from CSV."""
    return _command(url, folder, "sync", "--format", "csv")


def _land(url: str, folder: Path, format: str) -> Path:
    from ods_pipeline.landing import land
    from ods_pipeline.lane import Lane
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.lake import Lake

    portal = Portal(url)
    lake = Lake.of(folder, portal.slug)
    lane = Lane(format="csv" if format == "csv" else "parquet")
    land(portal, portal.dataset(DATASET), lake, lane=lane)
    return lake.partition("records", DATASET)


def _chunks(document: Path) -> Iterator[bytes]:
    with document.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _command(url: str, folder: Path, *arguments: str) -> Path:
    """Run the command line in this process, which is what is being measured."""
    from ods_pipeline.cli import main

    sys.argv = ["ods-pipeline", "--portal", url, "--data-dir", str(folder), *arguments]
    # A StringIO does not let itself be reconfigured, as the command line does with its stdout.
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(said):
            main()
    except SystemExit as end:
        if end.code:
            said.seek(0)
            last = said.read().strip().splitlines()[-2:]
            raise RuntimeError(f"exit status {end.code}: {' '.join(last)}") from None
    return folder / "warehouse.duckdb"
