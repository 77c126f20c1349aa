"""A dataset and its fields as a portal's catalog declares them.

Parsing is tolerant, because the API may add keys at any time and older portals spell some
differently. Fetching, typing and storing do not belong here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ods_pipeline.markup import HIDDEN, LONGEST, card, facts, plain, table

GEOGRAPHIC = frozenset({"geo_point_2d", "geo_shape"})

# Not all metadata: `metadata_processed` changes for whole portals at once, and the catalog's export
# may lack templates that a dataset's own page has.
_DESCRIPTION = [
    "title",
    "description",
    "publisher",
    "license",
    "license_url",
    "attributions",
    "modified",
]

# Characters of a title in a representation of one line.
_SHOWN = 60

# Annotations that have properties of their own.
_PROPERTIES = frozenset({"multivalued", "unit", "timeserie_precision"})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    """The texts of a list, or the only one."""
    found = value if isinstance(value, list) else [value]
    return tuple(text for item in found if (text := plain(_text(item))))


# Made once: a catalog takes some thousand hashes of it.
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str).encode


def _uid(value: object) -> str:
    """An identity; empty where the value is not a short text."""
    return value if isinstance(value, str) and len(value) <= LONGEST else ""


def _digest(value: object) -> str:
    return hashlib.sha256(_canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def instant(stamp: str | None) -> datetime | None:
    """Read a date-time of the catalog's metadata; portals write it with and without microseconds.

    Args:
        stamp: For instance `2026-05-23T13:30:54+00:00`; a value without offset counts as UTC.

    Returns:
        The instant in UTC, or None when there is none or it cannot be read.
    """
    try:
        parsed = datetime.fromisoformat(stamp or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def same_moment(one: str, other: str) -> bool:
    """Whether two stamps are the same instant, with or without microseconds."""
    return one == other or (instant(one) is not None and instant(one) == instant(other))


@dataclass(frozen=True, repr=False, slots=True)
class Field:
    """One field of a dataset.

    Attributes:
        name: Technical name, the column's name in every export.
        type: ODS type: text, int, double, date, datetime, boolean, geo_point_2d, geo_shape,
            file or json_blob.
        label: Name for people; neither unique nor stable.
        description: Explanation by the publisher.
        annotations: The portal's annotations as they came. Current portals write scalars
            (`"facet": true`), older ones lists (`"facet": []`).
        retyped: Whether a user has decided for another type than the declared one.
    """

    name: str
    type: str
    label: str = ""
    description: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    retyped: bool = False

    @classmethod
    def from_api(cls, declared: Mapping[str, Any]) -> Field:
        """Read one element of a dataset's `fields`.

        Raises:
            ValueError: It is not a field, or has no name that a column can have.
        """
        # The exact type first: `isinstance` with Mapping is far slower.
        mapping = type(declared) is dict or isinstance(declared, Mapping)
        name = declared.get("name") if mapping else None
        if not isinstance(name, str) or not name or HIDDEN.search(name):
            raise ValueError(f"it declares a field without a name, or of an unusable one: {name!r}")
        return cls(
            # Of a whole catalog, most fields have a name and a type that others have as well.
            name=sys.intern(name),
            type=sys.intern(str(declared.get("type") or "text")),
            label=_text(declared.get("label")),
            description=_text(declared.get("description")),
            annotations=dict(declared.get("annotations") or {}),
        )

    def __repr__(self) -> str:
        """Name, type and label."""
        label = f", {plain(self.label, _SHOWN)!r}" if self.label else ""
        return f"Field({self.name!r}, {self.type!r}{label})"

    def _repr_html_(self) -> str:
        return card(self.name, _table_of_fields([self]))

    def _annotation(self, key: str) -> Any:
        value = self.annotations.get(key)
        return value[0] if isinstance(value, list) and value else value

    @property
    def multivalued(self) -> bool:
        """Whether a record may hold several values; the annotation's presence says so."""
        return "multivalued" in self.annotations and self._annotation("multivalued") is not False

    @property
    def separator(self) -> str:
        """The separator of several values in the publisher's source, where the portal says so."""
        value = self._annotation("multivalued")
        return value if isinstance(value, str) else ""

    @property
    def noted(self) -> str:
        """All other annotations as JSON with sorted keys; empty for none."""
        others = {key: self._annotation(key) for key in self.annotations if key not in _PROPERTIES}
        return _canonical(others) if others else ""

    @property
    def unit(self) -> str:
        """Unit of measurement, such as `%` or `kWh`."""
        return _text(self._annotation("unit"))

    @property
    def precision(self) -> str:
        """`year` or `month` for a date of that precision, else empty."""
        value = self._annotation("timeserie_precision")
        return value if self.type == "date" and value in {"year", "month"} else ""


@dataclass(frozen=True, repr=False)
class Dataset:
    """One dataset as the catalog describes it.

    Attributes:
        portal: Slug of the portal.
        dataset_id: Identifier; a publisher may change it.
        dataset_uid: Identity (`da_…`), which survives a change of identifier.
        fields: Fields in the portal's order.
        features: What the portal can do with it, such as `analyze`, `geo` or `apiproxy`.
        has_records: False for attachments and links alone.
        data_visible: False where metadata are public and records are not.
        metas: The metadata templates (`default`, `dcat`, …) as they came.
        refused: Why its entry in the catalog cannot be used; empty for a sound one.
        documents: Identity of what it lists of attachments and alternative exports; empty for
            none, and None where its entry does not say.
    """

    portal: str
    dataset_id: str
    dataset_uid: str = ""
    fields: tuple[Field, ...] = ()
    features: tuple[str, ...] = ()
    has_records: bool = True
    data_visible: bool = True
    metas: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    documents: str | None = field(default=None, compare=False)

    @classmethod
    def from_api(cls, portal: str, body: Mapping[str, Any]) -> Dataset:
        """Read a dataset object of `/catalog/datasets` or `/catalog/exports/json`.

        Args:
            portal: Slug of the portal.
            body: The object, flat (v2.1) or wrapped in `dataset` (v2.0).

        Raises:
            KeyError: It is not a dataset object.
            ValueError: One of its values is not what a dataset has there.
        """
        body = body.get("dataset", body)
        dataset_id = body["dataset_id"]
        if not isinstance(dataset_id, str) or not dataset_id:
            raise ValueError("its dataset_id is no text")
        for key in ("fields", "features"):
            if not isinstance(body.get(key) or [], list):
                raise ValueError(f"its {key} are no list")
        if not isinstance(body.get("metas") or {}, Mapping):
            raise ValueError("its metas are no object")
        return cls(
            portal=portal,
            dataset_id=dataset_id,
            dataset_uid=_uid(body.get("dataset_uid")),
            fields=_once(Field.from_api(item) for item in body.get("fields") or ()),
            features=tuple(map(str, body.get("features") or ())),
            has_records=body.get("has_records") is not False,
            data_visible=body.get("data_visible") is not False,
            metas=_shared(body.get("metas") or {}),
            documents=_documents(body),
        )

    def __repr__(self) -> str:
        """Identifier and title, and how much it holds."""
        count = "?" if self.records_count is None else f"{self.records_count:,}"
        names = f"{plain(self.dataset_id, _SHOWN)!r}, {plain(self.title, _SHOWN)!r}"
        return f"Dataset({names}, {count} records, {len(self.fields)} fields)"

    def _repr_html_(self) -> str:
        count = self.records_count
        about = {
            "dataset": self.dataset_id,
            "portal": self.portal,
            "refused": self.refused,
            "publisher": self.publisher,
            "themes": ", ".join(self.themes),
            "keywords": ", ".join(self.keywords),
            "languages": ", ".join(self.languages),
            "licence": self.license,
            "updated": self.frequency,
            "data as of": self.data_processed[:16].replace("T", " "),
            "records": "" if count is None else f"{count:,}",
            "records visible": "" if self.data_visible else "no, they are restricted",
        }
        return card(self.title, facts(about), _table_of_fields(self.fields) if self.fields else "")

    def meta(self, name: str) -> str:
        """One entry of the default metadata template as text; lists are joined, null is empty."""
        return _text(self._default.get(name))

    @property
    def _default(self) -> Mapping[str, Any]:
        default = self.metas.get("default")
        return default if type(default) is dict or isinstance(default, Mapping) else {}

    @property
    def frequency(self) -> str:
        """How often the publisher says that it is updated, in the portal's words."""
        dcat = self.metas.get("dcat")
        other = dcat.get("accrualperiodicity") if isinstance(dcat, Mapping) else None
        return plain(self.meta("update_frequency") or _text(other))

    @property
    def publisher(self) -> str:
        """Who publishes it, in one line; empty if the portal does not say."""
        return plain(self.meta("publisher"))

    @property
    def license(self) -> str:
        """The licence's name, in one line; empty if the portal does not say."""
        return plain(self.meta("license"))

    @property
    def themes(self) -> tuple[str, ...]:
        """What it is about, in the portal's categories."""
        return _texts(self._default.get("theme"))

    @property
    def keywords(self) -> tuple[str, ...]:
        """What the publisher would have it found by."""
        return _texts(self._default.get("keyword"))

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages of the data; where none is named, of the metadata."""
        return _texts(self._default.get("language")) or _texts(
            self._default.get("metadata_languages")
        )

    @property
    def title(self) -> str:
        """Title for people, in one line; else the identifier."""
        return plain(self.meta("title")) or plain(self.dataset_id)

    @property
    def data_processed(self) -> str:
        """When the portal last processed the records, in its spelling; empty if it never did."""
        return self.meta("data_processed")

    @property
    def modified(self) -> str:
        """The publisher's date of modification; typed by hand on half the portals."""
        return self.meta("modified")

    @property
    def records_count(self) -> int | None:
        """Number of records at the time of processing; it can be stale."""
        count = self._default.get("records_count")
        if isinstance(count, bool) or not isinstance(count, int | float):
            return None
        return int(count) if 0 <= count < 2**63 else None

    @property
    def geographic(self) -> tuple[Field, ...]:
        """Fields that hold geometry."""
        return tuple(item for item in self.fields if item.type in GEOGRAPHIC)

    @property
    def stamp(self) -> str:
        """The version of the dataset as the portal declares it: date, count, fields, description.

        `modified` is only used where `data_processed` is missing: on half the portals people type
        it.
        """
        date = self.data_processed or self.modified
        when = instant(date)
        count = "" if self.records_count is None else str(self.records_count)
        hashes = f"{self.schema_hash[:8]}.{self.metadata_hash[:8]}"
        return "|".join((when.isoformat() if when else date, count, hashes))

    @cached_property
    def schema_hash(self) -> str:
        """Identity of the fields' names, types and order; a new one requires a fetch."""
        return schema_hash(self.fields)

    @cached_property
    def metadata_hash(self) -> str:
        """Identity of the description: title, licence, labels and the like."""
        default = self._default
        description = [_text(default.get(name)) for name in _DESCRIPTION]
        # Most fields have no annotations, and there are ten thousands of them.
        labels = [
            (f.name, f.label, f.description, f.unit, f.precision, f.noted)
            if f.annotations
            else (f.name, f.label, f.description, "", "", "")
            for f in self.fields
        ]
        return _digest([self.dataset_id, description, labels])


def _table_of_fields(fields: Iterable[Field]) -> str:
    heads = ("field", "type", "label", "description", "unit")
    kinds = ((f, f"{f.type} (several)" if f.multivalued else f.type) for f in fields)
    return table(heads, ((f.name, kind, f.label, f.description, f.unit) for f, kind in kinds))


def _shared(metas: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata templates, with names that all datasets share: they take as much as the rest."""
    return {
        sys.intern(template): {sys.intern(name): value for name, value in found.items()}
        if type(found) is dict
        else found
        for template, found in metas.items()
    }


def _documents(body: Mapping[str, Any]) -> str | None:
    lists = [body.get(key) for key in ("attachments", "alternative_exports")]
    if not any(isinstance(found, list) for found in lists):
        return None
    return _digest(lists) if any(lists) else ""


def _once(fields: Iterable[Field]) -> tuple[Field, ...]:
    """The fields without those that are declared again alike; of other types both are kept."""
    kept: dict[tuple[str, str, bool], Field] = {}
    for item in fields:
        kept.setdefault((item.name, item.type, item.multivalued), item)
    return tuple(kept.values())


def schema_hash(fields: Iterable[Field]) -> str:
    """Identity of the names, types and order of some fields."""
    return _digest([(item.name, item.type, item.multivalued) for item in fields])
