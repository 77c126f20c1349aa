"""How the columns of a table differ from those it had before, for programs and for people.

Pure: two Arrow schemas in, their difference out. What a difference leads to is the contract's
decision, see `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Difference:
    """How columns differ from those of before.

    Attributes:
        added: Columns that are new.
        removed: Columns that are gone.
        retyped: Columns of another type, each as name, old type, new type.
        relabelled: Columns with another label, each as name, old label, new label.
        annotated: Columns of which the publisher's annotations, unit or description differ.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    relabelled: tuple[tuple[str, str, str], ...] = ()
    annotated: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether names or types differ, so that what is built on the table may break."""
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
            "annotated anew": self.annotated,
        }
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts.items() if names)


def difference(before: pa.Schema | None, after: pa.Schema) -> Difference:
    """How columns differ from those that were landed before; in nothing where none were.

    Args:
        before: Columns with the field metadata that `schema.arrow_field` gives them.
        after: The same of now.
    """
    if before is None:
        return Difference()
    old = {field.name: field for field in before}
    new = {field.name: field for field in after}
    both = [(old[name], new[name]) for name in new if name in old]
    labels = [(a.name, told(a, "label"), told(b, "label")) for a, b in both]
    types = [(a.name, type_of(a), type_of(b)) for a, b in both]
    return Difference(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        retyped=tuple(entry for entry in types if entry[1] != entry[2]),
        relabelled=tuple(entry for entry in labels if entry[1] != entry[2]),
        annotated=tuple(a.name for a, b in both if _noted(a) != _noted(b)),
    )


def told(field: pa.Field, key: str) -> str:
    """One entry of a field's metadata, such as `label` or `ods_type`; empty if there is none."""
    return ((field.metadata or {}).get(key.encode()) or b"").decode()


def type_of(field: pa.Field) -> str:
    """A column's type for people: the portal's, else Arrow's."""
    several = " (several)" if pa.types.is_list(field.type) else ""
    return f"{told(field, 'ods_type')}{several}" if told(field, "ods_type") else str(field.type)


def _noted(field: pa.Field) -> tuple[str, ...]:
    return tuple(told(field, key) for key in ("annotations", "description", "unit", "precision"))
