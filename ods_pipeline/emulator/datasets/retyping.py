"""A field's values under another declared type, as SQL."""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.emulator.datasets.dataset import TYPES, Column, Field
from ods_pipeline.emulator.datasets.formatting import as_text

SCALARS = {
    "text": "VARCHAR",
    "json_blob": "VARCHAR",
    "int": "BIGINT",
    "double": "DOUBLE",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
}

# Within a family values are cast as they are, else through their text.
FAMILIES = ({"int", "double", "boolean"}, {"date", "datetime"})


def redeclared(field: Field, kind: str) -> Field:
    """The declaration with another type; annotations of the old type go."""
    if kind not in TYPES:
        raise ValueError(f"{kind!r} is no field type; choose from {TYPES}")
    bound = ("multivalued", "timeserie_precision", "decimals", "unit")
    kept = {k: v for k, v in field.annotations.items() if k not in bound}
    return replace(field, type=kind, annotations=kept)


def reencoded(column: Column, kind: str) -> str:
    """SQL for the values; what does not fit the new type becomes null."""
    if kind == column.type and not column.multivalued:
        return column.sql
    if kind not in SCALARS:
        raise ValueError(f"values of type {column.type} can not become {kind}")
    text = as_text(column, "UTC")
    if kind in ("text", "json_blob"):
        return text
    alike = any({kind, column.type} <= family for family in FAMILIES)
    return f"TRY_CAST({column.sql if alike else text} AS {SCALARS[kind]})"
