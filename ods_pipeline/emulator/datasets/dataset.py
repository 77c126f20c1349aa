"""The declarations of datasets: fields, the columns of queries, and metadata; all immutable.

Rows, HTTP and the engine do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TYPES = (
    "text",
    "int",
    "double",
    "date",
    "datetime",
    "boolean",
    "geo_point_2d",
    "geo_shape",
    "file",
    "json_blob",
)


@dataclass(frozen=True)
class Field:
    """One field declaration of a dataset; the catalog says ``claims`` instead, where it lies."""

    name: str
    type: str
    label: str
    description: str | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> Field:
        """From an entry of ``fields[]`` in the API; only name and type are required."""
        if declared["type"] not in TYPES:
            raise ValueError(f"{declared['type']!r} is no field type; choose from {TYPES}")
        return cls(
            declared["name"],
            declared["type"],
            declared.get("label") or declared["name"],
            declared.get("description"),
            declared.get("annotations") or {},
        )

    @property
    def multivalued(self) -> bool:
        """Whether the values are lists; the presence of the annotation is what matters."""
        return self.type == "text" and self.annotations.get("multivalued") not in (None, False)

    @property
    def precision(self) -> str | None:
        """``year`` or ``month`` for dates of that precision, else none."""
        declared = self.annotations.get("timeserie_precision")
        value = declared[0] if isinstance(declared, list) and declared else declared
        return value if self.type == "date" and value in ("year", "month") else None

    def document(self) -> dict[str, Any]:
        """The declaration as the catalog writes it."""
        return {
            "name": self.name,
            "description": self.description,
            "annotations": dict(self.annotations),
            "label": self.label,
            "type": self.type,
            **self.claims,
        }


@dataclass(frozen=True)
class Column:
    """One column of a reply: its name, its type and the SQL that computes it."""

    name: str
    type: str
    sql: str
    label: str = ""
    multivalued: bool = False
    precision: str | None = None

    @classmethod
    def of(cls, declared: Field, sql: str) -> Column:
        """A stored field as a column."""
        return cls(
            declared.name,
            declared.type,
            sql,
            declared.label,
            declared.multivalued,
            declared.precision,
        )

    def with_sql(self, sql: str) -> Column:
        """The same column, computed by other SQL."""
        return replace(self, sql=sql)


@dataclass(frozen=True)
class Dataset:
    """One dataset: its declarations, its metadata and the relation that holds its rows."""

    dataset_id: str
    dataset_uid: str
    fields: tuple[Field, ...]
    relation: str
    metas: Mapping[str, Mapping[str, Any]]
    features: tuple[str, ...] = ()
    attachments: tuple[Mapping[str, Any], ...] = ()
    alternative_exports: tuple[Mapping[str, Any], ...] = ()
    visibility: str = "domain"
    has_records: bool = True
    data_visible: bool = True
    # The API does not say who may see a dataset: this is no part of the document.
    hidden: bool = False
    # Contents by `attachments/{id}` and the like: no part of the document either.
    files: Mapping[str, Any] = field(default_factory=dict)

    def columns(self) -> tuple[Column, ...]:
        """Stored columns are named by position: field names may differ in case alone."""
        return tuple(Column.of(f, f"r.c{i}") for i, f in enumerate(self.fields))

    def with_metadata(self, **values: Any) -> Dataset:
        """The same dataset with these values in its basic metadata."""
        metas = {**self.metas, "default": {**self.metas["default"], **values}}
        return replace(self, metas=metas)

    def document(self) -> dict[str, Any]:
        """The flat v2.1 object, in the recorded order of keys."""
        return {
            "visibility": self.visibility,
            "fields": [f.document() for f in self.fields],
            "dataset_id": self.dataset_id,
            "dataset_uid": self.dataset_uid,
            "has_records": self.has_records,
            "features": list(self.features),
            "attachments": [dict(a) for a in self.attachments],
            "alternative_exports": [dict(a) for a in self.alternative_exports],
            "data_visible": self.data_visible,
            "metas": {name: dict(values) for name, values in self.metas.items()},
        }
