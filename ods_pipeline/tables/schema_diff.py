"""Differences between the columns of two tables, for programs and for people.

Pure: no files. What a difference leads to is decided in `sync` and `warehouse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Difference:
    """How the columns of a table differ from those that it had before.

    Attributes:
        added: New columns.
        removed: Columns that are gone.
        retyped: Columns of another type, each as name, old type, new type.
        relabelled: Columns with another label, each as name, old label, new label.
        annotated: Columns with other annotations, another unit or another description.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    relabelled: tuple[tuple[str, str, str], ...] = ()
    annotated: tuple[str, ...] = ()

    @classmethod
    def of_types(cls, old: Mapping[str, str], new: Mapping[str, str]) -> Difference:
        """The difference in names and types.

        Args:
            old: Column name to type, as it was.
            new: Column name to type, as it is.
        """
        return cls(
            added=tuple(name for name in new if name not in old),
            removed=tuple(name for name in old if name not in new),
            retyped=_changed(old, new),
        )

    @property
    def breaks(self) -> bool:
        """Whether names or types differ, so that queries on the table may break."""
        return bool(self.added or self.removed or self.retyped)

    def __str__(self) -> str:
        """One line for people; empty when nothing differs."""
        parts = {
            "added": self.added,
            "removed": self.removed,
            "retyped": tuple(f"{name} from {old} to {new}" for name, old, new in self.retyped),
            "renamed the label of": tuple(
                f"{name} from {old!r} to {new!r}" for name, old, new in self.relabelled
            ),
            "changed the annotations of": self.annotated,
        }
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts.items() if names)


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (name, old[name], new[name]) for name in new if old.get(name, new[name]) != new[name]
    )


def difference(before: pa.Schema | None, after: pa.Schema) -> Difference:
    """The difference between two schemas; empty where there was no table before.

    Args:
        before: Columns with the metadata of `tables.schema.arrow_field`.
        after: The same, as it is now.
    """
    if before is None:
        return Difference()
    types = [{f.name: type_of(f) for f in schema} for schema in (before, after)]
    labels = [{f.name: metadata_text(f, "label") for f in schema} for schema in (before, after)]
    old = {f.name: _annotations(f) for f in before}
    annotated = tuple(f.name for f in after if f.name in old and old[f.name] != _annotations(f))
    known = Difference.of_types(*types)
    return replace(known, relabelled=_changed(*labels), annotated=annotated)


def metadata_text(field: pa.Field, key: str) -> str:
    """One entry of a field's metadata, such as `label` or `ods_type`; empty if there is none."""
    return ((field.metadata or {}).get(key.encode()) or b"").decode()


def type_of(field: pa.Field) -> str:
    """A column's type for people: the portal's, else Arrow's."""
    import pyarrow as pa

    several = " (several)" if pa.types.is_list(field.type) else ""
    kind = metadata_text(field, "ods_type")
    return f"{kind}{several}" if kind else str(field.type)


def _annotations(field: pa.Field) -> tuple[str, ...]:
    keys = ("annotations", "description", "unit", "precision")
    return tuple(metadata_text(field, key) for key in keys)
