"""Landed partitions as the lake writes them, made by hand so that the lake need not work here."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.lake.checksum import BLANK, SealedFile

PORTAL = "127.0.0.1_8765"
SCHEMA = "127_0_0_1_8765"


@dataclass(frozen=True)
class Column:
    """A field with its values and what the publisher says of it."""

    values: Sequence[object]
    type: pa.DataType = field(default_factory=pa.string)
    told: Mapping[str, str] = field(default_factory=dict)


def geometry(values: Sequence[bytes | None], ods_type: str = "geo_shape") -> Column:
    return Column(values, pa.binary(), {"ods_type": ods_type})


def geoparquet(*columns: str) -> str:
    told = {name: {"encoding": "WKB", "geometry_types": []} for name in columns}
    return json.dumps({"version": "1.1.0", "primary_column": columns[-1], "columns": told})


def land(
    path: Path,
    columns: Mapping[str, Column] | Sequence[tuple[str, Column]],
    *,
    dataset_id: str = "velos",
    kind: str = "records",
    portal: str = PORTAL,
    geo: str = "",
    **told: str,
) -> Path:
    """Write a partition; the content hash is that of the rows unless it is given."""
    pairs = list(columns.items()) if isinstance(columns, Mapping) else list(columns)
    arrays = [pa.array(column.values, column.type) for _, column in pairs]
    receipt = {
        "portal": portal,
        "kind": kind,
        "dataset_id": dataset_id,
        "row_count": str(len(arrays[0])),
        "content_hash": hashlib.sha256(repr([c.values for _, c in pairs]).encode()).hexdigest(),
        "geo": geo,
        **told,
    }
    schema = pa.schema(
        [pa.field(name, c.type, metadata=dict(c.told)) for name, c in pairs],
        metadata={key: text for key, text in receipt.items() if text},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed(path, schema) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return path


@contextmanager
def sealed(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Writes a file that ends in its checksum, as those of the lake do."""
    path.write_bytes(b"")
    file = SealedFile(path)
    with pq.ParquetWriter(file, schema) as writer:
        yield writer
        writer.add_key_value_metadata({"file_sha256": BLANK})
    file.seal()


def land_named(
    lake: Path, dataset_id: str, value: str, *former: str, uid: str = "da_1", **told: str
) -> Path:
    """Write a partition with one value, of a dataset that had other identifiers before."""
    return land(
        lake / "partition.parquet",
        {"a": Column([value])},
        dataset_id=dataset_id,
        dataset_uid=uid,
        formerly=json.dumps(former) if former else "",
        **told,
    )
