"""What a landed file says of itself, in the words of a table: names, geometries, comments.

Reads the Parquet footer alone and knows no engine; the rows are the engine's to read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import WarehouseError
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.warehouse.names import column_names, schema_name, short, table_name

CRS84 = "OGC:CRS84"
_GEOMETRIES = ("geo_point_2d", "geo_shape")
_NAMES_TOLD = 5


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
    """A landed file: where it is, its receipt, and its columns in the order of the file."""

    path: Path
    receipt: Receipt
    columns: tuple[Column, ...]

    @property
    def schema(self) -> str:
        """Schema of the table that it fills."""
        return schema_name(self.receipt.portal)

    @property
    def table(self) -> str:
        """Table that it fills."""
        return table_name(self.receipt.dataset_id, self.receipt.kind)

    @property
    def comment(self) -> str:
        """Title, licence and attribution."""
        told = self.receipt
        licence = " ".join(filter(None, (told.license, told.license_url)))
        return _sentence(told.title, licence, told.attribution)

    @property
    def note(self) -> str:
        """Which columns could not keep their names, in one sentence; empty if all could."""
        renamed = [
            f"{short(c.field)!r} is {short(c.name)!r}" for c in self.columns if c.field != c.name
        ]
        if not renamed:
            return ""
        more = len(renamed) - _NAMES_TOLD
        tail = f" and {more} more" if more > 0 else ""
        return (
            "SQL cannot tell all names of fields apart, so some columns have others: "
            f"{', '.join(renamed[:_NAMES_TOLD])}{tail}"
        )

    @property
    def formerly(self) -> tuple[str, ...]:
        """Identifiers that the dataset had before its present one, newest first."""
        try:
            told = json.loads(self.receipt.formerly or "[]")
        except ValueError:
            return ()
        names = [name for name in told if isinstance(name, str)] if isinstance(told, list) else []
        return tuple(dict.fromkeys(n for n in reversed(names) if n != self.receipt.dataset_id))


def read_partition(path: Path) -> Partition:
    """Read what a landed file says of itself.

    Raises:
        WarehouseError: It is no landed partition, or not whole.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, known = file.schema_arrow, file.metadata
    except (OSError, pa.ArrowException) as error:
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else "it is damaged"
        raise WarehouseError(
            f"the partition {path} cannot be read, for {reason}: fetch the dataset again",
            dataset=path.stem,
        ) from error
    rows, receipt = known.num_rows, Receipt.from_metadata(known.metadata or {})
    if receipt is None:
        raise WarehouseError(f"{path} carries no receipt: fetch the dataset again")
    if str(rows) != receipt.row_count:
        says = f"{path} holds {rows} rows and its receipt says {receipt.row_count or 'nothing'}"
        raise WarehouseError(f"{says}: fetch the dataset again", dataset=receipt.dataset_id)
    return Partition(path, receipt, _columns(schema))


def _columns(schema: pa.Schema) -> tuple[Column, ...]:
    geo = _declared_geometries(schema)
    return tuple(
        _column(name, field, geo)
        for name, field in zip(column_names(schema.names), schema, strict=True)
    )


def _column(name: str, field: pa.Field, geo: Mapping[str, str]) -> Column:
    told = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
    binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    geometry = binary and (field.name in geo or told.get("ods_type") in _GEOMETRIES)
    crs = geo.get(field.name, CRS84) if geometry else ""
    return Column(name, field.name, _column_comment(told), geometry, crs)


def _column_comment(told: Mapping[str, str]) -> str:
    label, description = told.get("label", ""), told.get("description", "")
    unit = f"unit: {told['unit']}" if told.get("unit") else ""
    return _sentence(label, description, unit)


def _sentence(*parts: str) -> str:
    # Many publishers repeat the label as the description; a NUL cannot be written in SQL.
    told = (part.replace("\0", "").strip() for part in parts)
    return " — ".join(dict.fromkeys(filter(None, told)))


def _declared_geometries(schema: pa.Schema) -> dict[str, str]:
    """CRS of each WKB column that the file's GeoParquet description names."""
    try:
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        columns = geo.get("columns", {}).items()
        return {name: _crs(told) for name, told in columns if told.get("encoding") == "WKB"}
    except (ValueError, AttributeError):
        return {}


def _crs(told: Mapping[str, Any]) -> str:
    # GeoParquet: an absent CRS is OGC:CRS84, one that is null is unknown.
    if "crs" not in told:
        return CRS84
    identity = (told["crs"] or {}).get("id") or {}
    return f"{identity['authority']}:{identity['code']}" if "code" in identity else ""
