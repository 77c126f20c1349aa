"""The receipt: a landed partition's description of itself in its Parquet footer.

It has what a verdict compares (the stamp), what a warehouse compares (the content) and what a
reader wants to know (source, licence, time). Files and decisions do not belong here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ods_pipeline.dataset import Dataset

# Most partitions have the same here as others: of thousands, one text is kept and not thousands.
_ALIKE = (
    *("portal", "kind", "publisher", "license", "license_url", "attribution"),
    *("frequency", "format", "proof", "proven_by", "row_count", "records_count", "filter"),
)


@dataclass(frozen=True)
class Receipt:
    """The description of a partition, each entry as text in the Parquet schema's metadata.

    Attributes:
        kind: `records`, `features`, `catalog` or `held`.
        data_processed: The portal's date of the data at the moment of the proof, verbatim.
        modified: The publisher's date at that moment, verbatim.
        records_count: The catalog's count at that moment; empty if it gave none.
        frequency: How often the publisher says that it is updated, in the portal's words.
        source_url: Address of the export, without secrets.
        format: Export that the rows came through, `parquet` or `csv`.
        fetched_at: When the rows were asked for, ISO 8601 in UTC.
        row_count: Rows in the file.
        content_hash: Identity of the rows in any order.
        schema_hash: Identity of the declared names and types.
        columns_hash: Identity of the file's own columns.
        metadata_hash: Identity of labels, licence and other description.
        file_sha256: SHA-256 of all bytes of the file, these digits as zeros.
        proof: What the rows were compared with, for people.
        counted: The portal's count that the rows were compared with; empty where nothing could be
            counted, and in receipts that were written before this was an entry of its own.
        moved_to: The portal's date of the data after the rows were read, where it moved meanwhile.
        proven_by: What kind of proof it is: `live count`, `catalog count` or `nothing`; empty in
            receipts of before there was more than the first.
        listed: The date that the catalog gave, where the dataset's own page had a later one.
        rejected: How many values are null since they are not of their field's type.
        tolerance: Percent of rows that were allowed to differ from the count for that reason.
        filter: Which records and fields were asked for, and as which types, as JSON; empty for all
            as they are declared.
        note: Decisions made while landing, such as an order of axes that the portal left open.
        formerly: Identifiers that the dataset had before it was renamed, a JSON list, newest last.
    """

    portal: str
    kind: str
    dataset_id: str = ""
    dataset_uid: str = ""
    title: str = ""
    description: str = ""
    publisher: str = ""
    license: str = ""
    license_url: str = ""
    attribution: str = ""
    data_processed: str = ""
    modified: str = ""
    records_count: str = ""
    frequency: str = ""
    source_url: str = ""
    format: str = ""
    fetched_at: str = ""
    row_count: str = ""
    content_hash: str = ""
    schema_hash: str = ""
    columns_hash: str = ""
    metadata_hash: str = ""
    file_sha256: str = ""
    proof: str = ""
    counted: str = ""
    moved_to: str = ""
    proven_by: str = ""
    listed: str = ""
    rejected: str = ""
    tolerance: str = ""
    filter: str = ""
    note: str = ""
    formerly: str = ""

    @classmethod
    def of(cls, dataset: Dataset, kind: str, **known: str) -> Receipt:
        """The part of a receipt that a dataset's metadata give."""
        count = dataset.records_count
        return cls(
            portal=dataset.portal,
            kind=kind,
            dataset_id=dataset.dataset_id,
            dataset_uid=dataset.dataset_uid,
            title=dataset.title,
            description=dataset.meta("description"),
            publisher=dataset.meta("publisher"),
            license=dataset.meta("license"),
            license_url=dataset.meta("license_url"),
            attribution=dataset.meta("attributions"),
            data_processed=dataset.data_processed,
            modified=dataset.modified,
            records_count="" if count is None else str(count),
            frequency=dataset.frequency,
            schema_hash=dataset.schema_hash,
            metadata_hash=dataset.metadata_hash,
            **known,
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes]) -> Receipt | None:
        """Read a receipt back; None when the metadata hold none, or a damaged one."""
        return cls.from_entries(
            {name: metadata[key].decode() for name, key in _KEYS if key in metadata}
        )

    @classmethod
    def from_entries(cls, entries: Mapping[str, str]) -> Receipt | None:
        """The receipt of some entries; None where they are none, or damaged ones."""
        counts = entries.get("row_count", "") + entries.get("records_count", "")
        sound = {"portal", "kind"} <= entries.keys() and (not counts or counts.isdecimal())
        if not sound:
            return None
        alike = {name: sys.intern(entries[name]) for name in _ALIKE if name in entries}
        return cls(**{**entries, **alike})

    def metadata(self) -> dict[str, str]:
        """The entries that are not empty, ready for a schema's metadata."""
        return {name: value for name, _ in _KEYS if (value := getattr(self, name))}

    @property
    def version(self) -> str:
        """Identity of all that a table takes from the partition: rows, columns, descriptions."""
        known = f"{self.content_hash}.{self.schema_hash[:8]}.{self.metadata_hash[:8]}"
        if not self.filter:
            return known
        return f"{known}.{hashlib.sha256(self.filter.encode()).hexdigest()[:8]}"

    @property
    def former_names(self) -> tuple[str, ...]:
        """Identifiers that the dataset had before, the newest last."""
        try:
            names = json.loads(self.formerly or "[]")
        except ValueError:
            return ()
        names = names if isinstance(names, list) else []
        return tuple(name for name in names if isinstance(name, str))

    @property
    def retyped(self) -> tuple[str, ...]:
        """Fields that a user has read as another type than the declared one."""
        return tuple(self._wish("types", {}))

    @property
    def chosen_by(self) -> tuple[str, str, str]:
        """What chose the records: `where`, and the language and time zone that it was meant in."""
        where, lang, zone = (str(self._wish(n, "")) for n in ("where", "lang", "timezone"))
        return where, lang, zone

    def _wish(self, name: str, default: Any) -> Any:
        try:
            wishes = json.loads(self.filter or "{}")
        except ValueError:
            return default
        return wishes.get(name, default) if isinstance(wishes, dict) else default

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return int(self.row_count or 0)


_KEYS = tuple((item.name, item.name.encode()) for item in fields(Receipt))
