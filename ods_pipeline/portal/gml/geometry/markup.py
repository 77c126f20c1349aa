"""Geometry markup as a flat list of marks, and as the tree that they describe.

Elements of GML are recognised by their local names, in any namespace of GML. Nothing here
interprets the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ods_pipeline.redaction import excerpt
from ods_pipeline.tables.curves import Unreadable

#: Marks besides element names and attributes: here is a text, here an element ends.
TEXT, END = 0, 1

_SMALL = re.compile(r"\d{1,9}", re.ASCII)

#: A start tag is its name, then its relevant attributes, if it has any.
Mark = str | int | tuple[tuple[str, str], ...]

GML = "http://www.opengis.net/gml"
XLINK_HREF = "http://www.w3.org/1999/xlink href"
XSI_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"

#: The attributes that change what a geometry is; all others, such as ids, are ignored.
RELEVANT = frozenset(
    {
        "srsName",
        "srsDimension",
        "dimension",
        "count",
        "decimal",
        "cs",
        "ts",
        "orientation",
        "interpolation",
        "uom",
    }
)
#: Elements that any GML object may have besides its content.
METADATA = frozenset(
    {"metaDataProperty", "name", "description", "descriptionReference", "identifier", "boundedBy"}
)


def is_gml(name: str) -> bool:
    """Whether an element, named `namespace local`, is one of GML's."""
    return name.startswith(GML) and name[len(GML)] in " /"


def local(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition(" ")[2]


def blank(text: str) -> bool:
    """Whether a text has only what XML counts as white space."""
    return not text.strip(" \t\r\n")


def taken(pieces: list[str]) -> str:
    """The text of some pieces, which are removed; empty if it is blank."""
    text = "".join(pieces)
    pieces.clear()
    return "" if blank(text) else text


def small(text: str) -> int | None:
    """A count or a dimension; None if the text is not a reasonable one."""
    text = text.strip()
    return int(text) if _SMALL.fullmatch(text) else None


@dataclass(frozen=True)
class Context:
    """What a geometry inherits from the box of its feature or collection, if it does not say."""

    srs: str = ""
    dimension: int = 0


@dataclass
class Node:
    """An element of a geometry, with what it inherits from the elements around it.

    Attributes:
        name: Local name.
        attributes: The relevant ones.
        srs: The nearest `srsName`.
        dimension: The nearest declared `srsDimension`; 0 without.
        slots: Numbers of its own texts among the geometry's.
        children: Elements in it, without metadata.
    """

    name: str
    attributes: Mapping[str, str]
    srs: str
    dimension: int
    slots: list[int] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.children)

    def only(self, *names: str) -> list[Node]:
        """The elements in it, which must have one of these names and no text between them."""
        if self.slots:
            raise Unreadable(f"has text directly in {self.name}")
        for child in self.children:
            if child.name not in names:
                raise Unreadable(f"has {child.name} in {self.name}, which is not supported")
        return self.children


def tree(context: Context, marks: Sequence[Mark]) -> Node:
    """The element that some marks describe."""
    top = Node("", {}, context.srs, 0)
    path = [top]
    slot = -1
    ignored = 0
    for position, mark in enumerate(marks):
        if isinstance(mark, str):
            ignored += bool(ignored) or (len(path) > 1 and local(mark) in METADATA)
            path.append(_node(mark, _attributes(marks, position + 1), path[-1], kept=not ignored))
        elif mark == TEXT:
            slot += 1
            path[-1].slots.append(slot)
        elif mark == END:
            done = path.pop()
            if not ignored:
                path[-1].children.append(done)
            ignored -= bool(ignored)
    (node,) = top.children
    return node


def _attributes(marks: Sequence[Mark], position: int) -> dict[str, str]:
    following = marks[position] if position < len(marks) else END
    return dict(following) if isinstance(following, tuple) else {}


def _node(name: str, attributes: dict[str, str], parent: Node, *, kept: bool) -> Node:
    if kept and not is_gml(name):
        raise Unreadable(f"has {local(name)} in {parent.name}, which is not GML")
    declared = attributes.get("srsDimension") or attributes.get("dimension") or ""
    if declared and small(declared) is None:
        raise Unreadable(f"declares a dimension of {excerpt(declared, 60)!r}")
    return Node(
        name=local(name),
        attributes=attributes,
        srs=attributes.get("srsName", "").strip() or parent.srs,
        dimension=small(declared) or parent.dimension,
    )
