"""The table that a landed file describes in its Parquet footer: names, geometries, comments.

No rows are read, and no engine's SQL belongs here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.dataset import GEOGRAPHIC
from ods_pipeline.errors import OUT_OF_FILES, WarehouseError, out_of_files
from ods_pipeline.lake.bucket import LakePath, on_disk
from ods_pipeline.lake.checksum import intact
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.tables.schema_diff import metadata_text
from ods_pipeline.warehouse.names import AS_IS, TableNames, column_names, short

CRS84 = "OGC:CRS84"
_NAMES_IN_NOTE = 5


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name in the table.
        field: Its name in the file.
        comment: Label, description and unit; empty when the publisher gave none.
        geometry: Whether the file holds it as WKB.
        crs: Coordinate reference system of a geometry, as authority and code; empty if unknown.
    """

    name: str
    field: str
    comment: str = ""
    geometry: bool = False
    crs: str = ""


@dataclass(frozen=True)
class Partition:
    """A landed file.

    Attributes:
        path: Where it is, for people.
        file: Its bytes on this machine: where it is, or a copy of one version from a bucket.
        receipt: What is known of it.
        columns: Its columns, in the order of the file.
        names: What its portal's schema and tables are called.
    """

    path: LakePath
    file: Path
    receipt: Receipt
    columns: tuple[Column, ...]
    names: TableNames = AS_IS

    @property
    def schema(self) -> str:
        """Schema of the table that it fills."""
        return self.names.schema_of(self.receipt.portal)

    @property
    def table(self) -> str:
        """Table that it fills."""
        return self.names.table_of(self.receipt.dataset_id, self.receipt.kind)

    @property
    def comment(self) -> str:
        """Title, licence and attribution, and the filter where not everything was asked for."""
        receipt = self.receipt
        licence = " ".join(filter(None, (receipt.license, receipt.license_url)))
        part = f"As asked for: {receipt.filter}" if receipt.filter else ""
        return _joined(receipt.title, licence, receipt.attribution, part)

    @property
    def note(self) -> str:
        """One sentence on the columns that could not keep their names; empty if all could."""
        renamed = [
            f"{short(c.field)!r} is {short(c.name)!r}" for c in self.columns if c.field != c.name
        ]
        if not renamed:
            return ""
        more = len(renamed) - _NAMES_IN_NOTE
        tail = f" and {more} more" if more > 0 else ""
        return (
            "SQL cannot tell all names of fields apart, so some columns have others: "
            f"{', '.join(renamed[:_NAMES_IN_NOTE])}{tail}"
        )

    def beside(self, existing: Collection[str]) -> Partition:
        """The partition for a table that has columns already: a field that has one keeps it."""
        names = column_names((column.field for column in self.columns), existing)
        named = [replace(column, name=n) for column, n in zip(self.columns, names, strict=True)]
        return replace(self, columns=tuple(named))

    @property
    def former_names(self) -> tuple[str, ...]:
        """Identifiers that the dataset had before its present one, newest first."""
        names = reversed(self.receipt.former_names)
        return tuple(dict.fromkeys(name for name in names if name != self.receipt.dataset_id))


def read_partition(path: LakePath, names: TableNames = AS_IS) -> Partition:
    """Read the footer of a landed file.

    Args:
        path: The file.
        names: What its portal's schema and tables are called.

    Raises:
        WarehouseError: It is not a landed partition, or incomplete.
    """
    try:
        found = on_disk(path)
        with pq.ParquetFile(found) as file:
            schema, footer = file.schema_arrow, file.metadata
    except (OSError, pa.ArrowException) as error:
        if out_of_files(error):
            raise WarehouseError(OUT_OF_FILES, dataset=path.stem) from error
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else "it is damaged"
        raise WarehouseError(
            f"the partition {path} cannot be read because {reason}: fetch the dataset again",
            dataset=path.stem,
        ) from error
    rows, receipt = footer.num_rows, Receipt.from_metadata(footer.metadata or {})
    if receipt is None:
        raise WarehouseError(f"{path} carries no receipt: fetch the dataset again")
    if str(rows) != receipt.row_count:
        says = f"{path} holds {rows} rows and its receipt says {receipt.row_count or 'nothing'}"
        raise WarehouseError(f"{says}: fetch the dataset again", dataset=receipt.dataset_id)
    return Partition(path, found, receipt, _columns(schema), names)


def require_intact(partition: Partition) -> None:
    """Compare a file with its checksum: engines read flipped bits as values.

    Raises:
        WarehouseError: It is damaged, or has none, so that nothing proves its rows.
    """
    require_checksum(partition)
    with partition.file.open("rb") as file:
        if not intact(file):
            raise damaged(partition)


def require_checksum(partition: Partition) -> None:
    """Refuse a file that has no checksum.

    Raises:
        WarehouseError: It has none, so that nothing proves its rows.
    """
    if not partition.receipt.file_sha256:
        raise refused(
            partition,
            f"{partition.path} has no checksum, so another program wrote it and nothing proves its "
            "rows: delete it and sync again",
        )


def damaged(partition: Partition) -> WarehouseError:
    """The failure of a load whose file is not as it was published."""
    return refused(partition, f"{partition.path} is damaged: delete it and sync again")


def refused(partition: Partition, message: str) -> WarehouseError:
    """The failure of a load, with the names of portal and dataset."""
    receipt = partition.receipt
    return WarehouseError(message, portal=receipt.portal, dataset=receipt.dataset_id)


def _columns(schema: pa.Schema) -> tuple[Column, ...]:
    geo = _declared_geometries(schema)
    return tuple(
        _column(name, field, geo)
        for name, field in zip(column_names(schema.names), schema, strict=True)
    )


def _column(name: str, field: pa.Field, geo: Mapping[str, str]) -> Column:
    label, description, unit = (metadata_text(field, k) for k in ("label", "description", "unit"))
    comment = _joined(label, description, f"unit: {unit}" if unit else "")
    binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    geometry = binary and (field.name in geo or metadata_text(field, "ods_type") in GEOGRAPHIC)
    crs = geo.get(field.name, CRS84) if geometry else ""
    return Column(name, field.name, comment, geometry, crs)


def _joined(*parts: str) -> str:
    # Many publishers repeat the label as the description; a NUL cannot be written in SQL.
    texts = (part.replace("\0", "").strip() for part in parts)
    return " — ".join(dict.fromkeys(filter(None, texts)))


def _declared_geometries(schema: pa.Schema) -> dict[str, str]:
    """CRS of each WKB column that the file's GeoParquet description names."""
    try:
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        columns = geo.get("columns", {}).items()
        return {name: _crs(entry) for name, entry in columns if entry.get("encoding") == "WKB"}
    except (ValueError, AttributeError):
        return {}


def _crs(entry: Mapping[str, Any]) -> str:
    # GeoParquet: an absent CRS is OGC:CRS84, one that is null is unknown.
    if "crs" not in entry:
        return CRS84
    identity = (entry["crs"] or {}).get("id") or {}
    return f"{identity['authority']}:{identity['code']}" if "code" in identity else ""
