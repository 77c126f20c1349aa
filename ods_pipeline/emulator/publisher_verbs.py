"""The verbs of a portal's publishers: what they do to datasets, and the faults of later replies.

What an administrator does, and HTTP, are elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from ods_pipeline.emulator.datasets import generated
from ods_pipeline.emulator.datasets.dataset import Dataset, Field
from ods_pipeline.emulator.datasets.encoding import encode, values_of_other_type, with_other_type
from ods_pipeline.emulator.datasets.file_values import recorded
from ods_pipeline.emulator.datasets.metadata import feature_flags, new_dataset, new_uid
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.files import KINDS, StoredFile
from ods_pipeline.emulator.faults.fault import Fault, PendingFaults
from ods_pipeline.emulator.quirks import Quirks


class PublisherVerbs:
    """What the publishers of a portal can do to its datasets.

    Attributes:
        state: The datasets. Its clock never gives the same instant twice.
        faults: The faults that are pending.
    """

    def __init__(self, quirks: Quirks):
        """An empty portal."""
        self.state = State(quirks)
        self.faults = PendingFaults()

    def publish(
        self,
        dataset_id: str,
        fields: Sequence[Mapping[str, Any]] | None = None,
        records: Iterable[Mapping[str, Any]] | pa.Table = (),
        metas: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Dataset:
        """Publish a new dataset, or replace the records of one: its uid and metadata stay.

        Args:
            dataset_id: Its identifier.
            fields: Declarations as in ``fields[]``; those of the dataset replaced when left out.
            records: JSON-shaped rows, or an Arrow table with the same names.
            metas: Basic metadata to set, after everything else.
            overrides: Any other part of the dataset object, such as ``has_records``.
        """
        with self.state.lock:
            old = self.state.find(dataset_id)
            if fields is None and old is None:
                raise ValueError(f"the new dataset {dataset_id} needs fields")
            declared = old.fields if old and fields is None else tuple(map(Field.of, fields or ()))
            rows = encode(declared, records)
            relation = self.state.store.create_table(rows) if declared else "(SELECT 1 WHERE false)"
            base = old or self._with_unused_uid(new_dataset(dataset_id, declared, relation))
            base = replace(
                base, fields=declared, relation=relation, features=feature_flags(declared)
            )
            return self._put_data(base, rows.num_rows, metas or {}, overrides)

    def _with_unused_uid(self, dataset: Dataset) -> Dataset:
        """A new dataset with a uid of its own: another may have had its identifier before."""
        taken = {known.dataset_uid for known in self.state.datasets()}
        candidates = (new_uid(f"{dataset.dataset_id}{'~' * n}") for n in range(len(taken) + 1))
        return replace(dataset, dataset_uid=next(uid for uid in candidates if uid not in taken))

    def _put_data(
        self, dataset: Dataset, rows: int, metas: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> Dataset:
        """Set the dates and the count of records just processed."""
        default = dataset.metas["default"]
        moment = self.state.clock.tick(default["data_processed"])
        stamps: dict[str, Any] = {"records_count": rows, "metadata_processed": moment}
        if dataset.has_records:
            stamps["data_processed"] = moment
        if default["modified_updates_on_data_change"] or not default["modified"]:
            stamps["modified"] = moment
        parts: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in overrides.items()
        }
        dataset = replace(dataset.with_metadata(**{**stamps, **metas}), **parts)
        self.state.put(dataset)
        return dataset

    def republish(self, dataset_id: str, shuffle: bool = False) -> Dataset:
        """Process the same records again, in another order if asked."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            if shuffle:
                order = f"hash(r, {self.state.version})"
                sql = f"SELECT r.* FROM {dataset.relation} AS r ORDER BY {order}"
                dataset = replace(dataset, relation=self.state.store.create_table_as(sql))
            return self._put_data(dataset, self.state.store.count(dataset.relation), {}, {})

    def attach(
        self,
        dataset_id: str,
        name: str,
        content: bytes | str,
        title: str = "",
        mimetype: str = "application/octet-stream",
        kind: str = "attachments",
    ) -> Dataset:
        """Put a file beside a dataset's records, or another content in place of one.

        Args:
            dataset_id: The dataset.
            name: Identifier of the file.
            content: Its bytes.
            title: Its title; the identifier without it.
            mimetype: Its media type.
            kind: `attachments`, `alternative_exports`, or `files` for one that a record points to.
        """
        body = content.encode() if isinstance(content, str) else content
        return self.attach_all(dataset_id, {name: body}, title, mimetype, kind)

    def attach_all(
        self,
        dataset_id: str,
        contents: Mapping[str, bytes],
        title: str = "",
        mimetype: str = "application/octet-stream",
        kind: str = "attachments",
    ) -> Dataset:
        """The same for many files at once, by their identifiers."""
        if kind not in KINDS:
            raise ValueError(f"a file is one of {', '.join(KINDS)}")
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            moment = datetime.fromisoformat(self.state.clock.tick(None))
            stored = {
                f"{kind}/{name}": StoredFile(content, moment, mimetype)
                for name, content in contents.items()
            }
            dataset = replace(dataset, files={**dataset.files, **stored})
            if kind != "files":
                entries = [
                    {
                        "id": name,
                        "title": title or name,
                        "mimetype": mimetype,
                        "url": f"odsfile://{dataset_id}/{name}",
                    }
                    for name in contents
                ]
                others = [item for item in getattr(dataset, kind) if item["id"] not in contents]
                dataset = _with_files(dataset, kind, (*others, *entries))
            return self._put_metadata(dataset)

    def point_to(
        self,
        dataset_id: str,
        contents: Mapping[str, bytes],
        mimetype: str = "image/png",
        field: str = "photo",
    ) -> Dataset:
        """Publish a dataset whose records each point to a file, and serve the files.

        Args:
            dataset_id: The dataset.
            contents: The files' bytes by their names.
            mimetype: Their media type.
            field: Name of the field that points to them.
        """
        values = {name: recorded(name, body, mimetype) for name, body in contents.items()}
        fields = [{"name": "title", "type": "text"}, {"name": field, "type": "file"}]
        self.publish(dataset_id, fields, [{"title": n, field: v} for n, v in values.items()])
        bodies = {values[name]["id"]: body for name, body in contents.items()}
        return self.attach_all(dataset_id, bodies, mimetype=mimetype, kind="files")

    def detach(self, dataset_id: str, name: str, kind: str = "attachments") -> Dataset:
        """Take a file away again."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            files = {k: file for k, file in dataset.files.items() if k != f"{kind}/{name}"}
            dataset = replace(dataset, files=files)
            if kind != "files":
                others = tuple(item for item in getattr(dataset, kind) if item["id"] != name)
                dataset = _with_files(dataset, kind, others)
            return self._put_metadata(dataset)

    def touch(self, dataset_id: str) -> Dataset:
        """Re-index the metadata; nothing else moves but ``modified`` where it follows."""
        return self.describe(dataset_id)

    def describe(self, dataset_id: str, **metas: Any) -> Dataset:
        """Edit basic metadata."""
        with self.state.lock:
            return self._put_metadata(self.state.dataset(dataset_id).with_metadata(**metas))

    def _put_metadata(self, dataset: Dataset) -> Dataset:
        """Set the dates of metadata just saved."""
        default = dataset.metas["default"]
        moment = self.state.clock.tick(default["metadata_processed"])
        stamps = {"metadata_processed": moment}
        if default["modified_updates_on_metadata_change"]:
            stamps["modified"] = moment
        dataset = dataset.with_metadata(**stamps)
        self.state.put(dataset)
        return dataset

    def relabel(
        self, dataset_id: str, field: str, label: str | None = None, description: str | None = None
    ) -> Dataset:
        """Change what a field is called or said to be; its name stays."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            position = _position(dataset, field)
            old = dataset.fields[position]
            new = replace(old, label=label or old.label, description=description or old.description)
            return self._put_metadata(
                replace(dataset, fields=_replaced(dataset.fields, position, new))
            )

    def retype(self, dataset_id: str, field: str, type: str) -> Dataset:
        """Change a field's declared type; values that do not fit become null."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            position = _position(dataset, field)
            new = with_other_type(dataset.fields[position], type)
            sql = values_of_other_type(dataset.columns()[position], type)
            select = f"SELECT r.* REPLACE ({sql} AS c{position}) FROM {dataset.relation} AS r"
            fields = _replaced(dataset.fields, position, new)
            relation = self.state.store.create_view(select)
            dataset = replace(
                dataset, fields=fields, relation=relation, features=feature_flags(fields)
            )
            return self._put_data(dataset, self.state.store.count(relation), {}, {})

    def withdraw(self, dataset_id: str) -> None:
        """Unpublish: the dataset is not found any more."""
        self.state.remove(dataset_id)

    def restrict(self, dataset_id: str, restricted: bool = True) -> Dataset:
        """Hide the records, or show them again; the metadata stays visible."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            return self._put_metadata(replace(dataset, data_visible=not restricted))

    def rename(self, dataset_id: str, new_id: str) -> Dataset:
        """Change the identifier; the uid is what stays."""
        with self.state.lock:
            dataset = self.state.remove(dataset_id)
            return self._put_metadata(replace(dataset, dataset_id=new_id))

    def lie(self, dataset_id: str, **untrue: Any) -> Dataset:
        """Make the metadata say something untrue: a basic metadata or a part of the object."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            parts = {k: v for k, v in untrue.items() if k in Dataset.__dataclass_fields__}
            metas = {k: v for k, v in untrue.items() if k not in parts}
            dataset = replace(dataset.with_metadata(**metas), **parts)
            self.state.put(dataset)
            return dataset

    def claim(self, dataset_id: str, field: str, **claims: Any) -> Dataset:
        """Make the catalog declare a field otherwise than it is, such as of another ``type``."""
        with self.state.lock:
            dataset = self.state.dataset(dataset_id)
            position = _position(dataset, field)
            new = replace(dataset.fields[position], claims=claims)
            dataset = replace(dataset, fields=_replaced(dataset.fields, position, new))
            self.state.put(dataset)
            return dataset

    def fail(self, match: str, fault: Fault, times: int | None = 1) -> None:
        """Spoil the next requests whose path and query match; for ever with ``times=None``."""
        self.faults.add(match, fault, times)

    def make_up(self, count: int, rows: int = 10) -> None:
        """Add so many small datasets, computed when read."""
        moment = self.state.clock.tick()
        for number in range(count):
            self.state.put(generated.small_dataset(number, rows, moment))

    def make_big(self, dataset_id: str, rows: int = 5_000_000, vertices: int = 0) -> Dataset:
        """Add one dataset of many rows, computed when read; with polygons if they have vertices."""
        relation = self.state.store.create_view(generated.big_rows(rows, vertices))
        self.state.without_collections(relation)
        moment = self.state.clock.tick()
        dataset = generated.big_dataset(dataset_id, relation, rows, moment, shapes=vertices > 0)
        self.state.put(dataset)
        return dataset


def _position(dataset: Dataset, field: str) -> int:
    for position, declared in enumerate(dataset.fields):
        if declared.name == field:
            return position
    raise ValueError(f"{dataset.dataset_id} has no field {field}")


def _replaced(fields: tuple[Field, ...], position: int, new: Field) -> tuple[Field, ...]:
    return (*fields[:position], new, *fields[position + 1 :])


def _with_files(dataset: Dataset, kind: str, entries: tuple[Mapping[str, Any], ...]) -> Dataset:
    if kind == "attachments":
        return replace(dataset, attachments=entries)
    return replace(dataset, alternative_exports=entries)
