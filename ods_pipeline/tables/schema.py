"""A dataset's fields as an Arrow schema: the declared types, never guessed ones.

One table of types serves the Parquet export, the CSV export and the lake. The conversion of values
does not belong here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import SchemaMismatch

_ARROW: dict[str, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("ms", tz="UTC"),
    "boolean": pa.bool_(),
    "geo_point_2d": pa.binary(),
    "geo_shape": pa.binary(),
    "file": pa.string(),
    "json_blob": pa.string(),
}


#: The types that a field can have.
TYPES = tuple(_ARROW)


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a field.

    Args:
        field: A declared field. Geometry is WKB in `binary`; several values make a
            `list<string>`; a type that the API does not document is text, or JSON where nested.
    """
    if field.type == "text" and field.multivalued:
        return pa.list_(pa.string())
    return _ARROW.get(field.type, pa.string())


def unknown_types(fields: Iterable[Field]) -> list[str]:
    """A sentence for each field of a type that this version does not know."""
    return [
        f"field {field.name!r} has the type {field.type!r}, which this version does not know: it "
        "is text, or JSON where it is nested"
        for field in fields
        if field.type not in _ARROW
    ]


def arrow_field(field: Field) -> pa.Field:
    """An Arrow field with the field's ODS type, label and other descriptions as metadata."""
    described = {
        "ods_type": field.type,
        "label": field.label,
        "description": field.description,
        "unit": field.unit,
        "precision": field.precision,
        "annotations": field.noted,
    }
    return pa.field(
        field.name,
        arrow_type(field),
        metadata={key: value for key, value in described.items() if value},
    )


def _type_name(kind: pa.DataType) -> str:
    # Parquet calls a list's values `element`, Arrow `item`.
    return str(kind).replace("<element: ", "<item: ")


def geoarrow(crs: str) -> dict[str, str]:
    """The metadata of a column of WKB in the terms of GeoArrow.

    Args:
        crs: Authority and code of its reference system; empty where it is unknown.
    """
    about = {"crs": crs, "crs_type": "authority_code"} if crs else {}
    return {
        "ARROW:extension:name": "geoarrow.wkb",
        "ARROW:extension:metadata": json.dumps(about),
    }


def with_geoarrow(schema: pa.Schema) -> pa.Schema:
    """The same columns, in which geometries say that they are, and in which reference system.

    In the terms of GeoArrow: GeoPandas, DuckDB's spatial and others find them by that.
    """
    extension = geoarrow("OGC:CRS84")
    return pa.schema(
        [
            item.with_metadata({**(item.metadata or {}), **extension})
            if (item.metadata or {}).get(b"ods_type", b"").decode() in GEOGRAPHIC
            else item
            for item in schema
        ],
        schema.metadata,
    )


def pandas_type(kind: pa.DataType) -> Any:
    """The pandas type that keeps an Arrow type without loss; None for pandas' own choice.

    In a column with a null, pandas by itself rounds integers (`12345678901234567` becomes a float)
    and turns booleans into objects. For `types_mapper=`.
    """
    import pandas as pd

    if pa.types.is_int64(kind):
        return pd.Int64Dtype()
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else None


def columns_hash(schema: pa.Schema) -> str:
    """Identity of a file's columns: names, Arrow types and ODS types, in their order."""
    columns = [
        (f.name, _type_name(f.type), (f.metadata or {}).get(b"ods_type", b"")) for f in schema
    ]
    return hashlib.sha256(repr(columns).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def arrow_schema(fields: Iterable[Field]) -> pa.Schema:
    """The Arrow schema of some fields, in their order.

    Raises:
        SchemaMismatch: Two fields have the same name.
    """
    schema = pa.schema([arrow_field(field) for field in fields])
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise SchemaMismatch(f"the portal declares the field {repeated[0]!r} more than once")
    return schema
