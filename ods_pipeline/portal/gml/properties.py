"""Converts the properties of features, which are text, to the types of a schema.

The rules for values are those of records, in `tables`. Nothing here touches geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.gml.collection import FeatureBatch
from ods_pipeline.portal.gml.texts import as_lists
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.schema import arrow_type

_ODS_TYPES = [
    (pa.types.is_string, "text"),
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "double"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_binary, "geo_shape"),
]


def fields_of(schema: Iterable[Field] | pa.Schema | None) -> list[Field]:
    """A schema as fields.

    Raises:
        ConfigurationError: It is not a schema, or no field has such an Arrow type.
    """
    if schema is None:
        return []
    if not isinstance(schema, pa.Schema):
        fields = list(schema) if isinstance(schema, Iterable) else [schema]
        for field in fields:
            if not isinstance(field, Field):
                raise ConfigurationError(
                    f"schema is a dataset's fields or an Arrow schema, and {field!r} is neither"
                )
        return fields
    return [_field(field) for field in schema]


def _field(field: pa.Field) -> Field:
    described = field.metadata or {}
    kind = described.get(b"ods_type", b"").decode()
    if pa.types.is_list(field.type):
        return Field(field.name, kind or "text", annotations={"multivalued": True})
    kind = kind or next((name for fits, name in _ODS_TYPES if fits(field.type)), "")
    if not kind:
        raise ConfigurationError(f"the schema's field {field.name!r} has the type {field.type}")
    return Field(field.name, kind)


def typed_columns(
    batches: list[FeatureBatch], fields: Iterable[Field]
) -> dict[str, pa.ChunkedArray]:
    """The properties that are not geometry: the schema's in its order, then the others as text.

    Raises:
        TypeMismatch: A value is not of its field's type.
    """
    declared = {field.name: field for field in fields}
    geometric = {name for batch in batches for name in batch.geometries}
    geometric |= {field.name for field in declared.values() if field.type in GEOGRAPHIC}
    met = [name for batch in batches for name in batch.texts]
    names = [name for name in dict.fromkeys([*declared, *met]) if name not in geometric]
    return {name: _column(name, batches, declared) for name in names}


def _column(
    name: str, batches: list[FeatureBatch], declared: Mapping[str, Field]
) -> pa.ChunkedArray:
    texts = [batch.texts.get(name, pa.nulls(batch.rows, pa.string())) for batch in batches]
    if name not in declared:
        return _same_type(texts)
    field, row = declared[name], 1
    arrays: list[pa.Array] = []
    for text in texts:
        arrays.append(typed(text, field, row))
        row += len(text)
    return pa.chunked_array(arrays, arrow_type(field))


def _same_type(texts: list[pa.Array]) -> pa.ChunkedArray:
    """Texts of several batches; if one of them has lists, all are lists."""
    if any(pa.types.is_list(text.type) for text in texts):
        return pa.chunked_array([as_lists(text) for text in texts])
    return pa.chunked_array(texts, pa.string())
