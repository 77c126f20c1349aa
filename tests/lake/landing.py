"""Partitions for tests, written by the lake's own writer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import shapely

from ods_pipeline.lake.lake import Lake, PartitionKind
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

COLUMNS = pa.schema(
    [
        pa.field("code", pa.string(), metadata={"ods_type": "text", "label": "Code"}),
        pa.field("people", pa.int64(), metadata={"ods_type": "int", "unit": "persons"}),
        pa.field("place", pa.binary(), metadata={"ods_type": "geo_point_2d"}),
    ]
)
ROWS = pa.table(
    {
        "code": ["01", "02", None],
        "people": pa.array([1, None, 2**53 + 1], pa.int64()),
        "place": [shapely.Point(2 + n / 10, 48).wkb for n in range(3)],
    },
    schema=COLUMNS,
)


def land(
    data: Path,
    portal: str,
    dataset_id: str,
    kind: PartitionKind = "records",
    rows: pa.Table = ROWS,
    **known: str,
) -> Path:
    """Land some rows of a dataset, with what its receipt says besides."""
    lake = Lake.of(data, portal)
    path = lake.partition(kind, dataset_id)
    with PartitionWriter(lake, path, rows.schema, "place") as writer:
        for batch in rows.to_batches():
            writer.write(batch)
        writer.publish(Receipt(portal, kind, dataset_id, **known))
    return path
