"""Geometry markup as it was met: a flat list of marks, and the tree that they stand for.

Elements of GML are known by their local names in any namespace of GML. What the tree means is
`grammar`'s work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ods_pipeline.portal.gml.geometry.coordinates import Unreadable

#: Marks beside element names and attributes: a text stands here, an element ends here.
TEXT, END = 0, 1

_SMALL = re.compile(r"\d{1,9}", re.ASCII)

#: A start tag is its name, followed by the attributes that matter, if it has any.
Mark = str | int | tuple[tuple[str, str], ...]

GML = "http://www.opengis.net/gml"
XLINK_HREF = "http://www.w3.org/1999/xlink href"
XSI_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"

#: The attributes that change what a geometry is; all others, such as ids, are passed over.
TELLING = frozenset(
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
#: What any GML object may have beside its content.
ASIDE = frozenset(
    {"metaDataProperty", "name", "description", "descriptionReference", "identifier", "boundedBy"}
)


def is_gml(name: str) -> bool:
    """Whether an element, named `namespace local`, is one of GML's."""
    return name.startswith(GML) and name[len(GML)] in " /"


def local(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition(" ")[2]


def blank(text: str) -> bool:
    """Whether a text holds white space alone, as XML knows it."""
    return not text.strip(" \t\r\n")


def small(text: str) -> int | None:
    """A count or a dimension; None where the text is no reasonable one."""
    text = text.strip()
    return int(text) if _SMALL.fullmatch(text) else None


@dataclass(frozen=True)
class Context:
    """What holds for a geometry that does not say otherwise: its feature's or collection's box."""

    srs: str = ""
    dimension: int = 0


@dataclass
class Node:
    """An element of a geometry, with what it inherits from the elements around it.

    Attributes:
        name: Local name.
        attributes: Those that matter.
        srs: The nearest `srsName`.
        dimension: The nearest declared `srsDimension`; 0 without.
        slots: Numbers of its own texts.
        children: Elements in it, without names, descriptions and other metadata.
    """

    name: str
    attributes: Mapping[str, str]
    srs: str
    dimension: int
    slots: list[int] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def __iter__(self) -> Iterator[Node]:
        """The elements in it."""
        return iter(self.children)

    def only(self, *names: str) -> list[Node]:
        """The elements in it, all of which have one of the names, with no text between them.

        Raises:
            Unreadable: There is something else.
        """
        if self.slots:
            raise Unreadable(f"has text directly in {self.name}")
        for child in self.children:
            if child.name not in names:
                raise Unreadable(f"has {child.name} in {self.name}, which is not understood")
        return self.children


def tree(context: Context, marks: Sequence[Mark]) -> Node:
    """The element that some marks stand for.

    Raises:
        Unreadable: An element in it is none of GML's, or declares a dimension that is no number.
    """
    top = Node("", {}, context.srs, 0)
    path = [top]
    slot = -1
    aside = 0
    for place, mark in enumerate(marks):
        if isinstance(mark, str):
            aside += bool(aside) or (len(path) > 1 and local(mark) in ASIDE)
            path.append(_node(mark, _attributes(marks, place + 1), path[-1], kept=not aside))
        elif mark == TEXT:
            slot += 1
            path[-1].slots.append(slot)
        elif mark == END:
            done = path.pop()
            if not aside:
                path[-1].children.append(done)
            aside -= bool(aside)
    (node,) = top.children
    return node


def _attributes(marks: Sequence[Mark], place: int) -> dict[str, str]:
    following = marks[place] if place < len(marks) else END
    return dict(following) if isinstance(following, tuple) else {}


def _node(name: str, attributes: dict[str, str], parent: Node, *, kept: bool) -> Node:
    if kept and not is_gml(name):
        raise Unreadable(f"has {local(name)} in {parent.name}, which is no GML")
    declared = attributes.get("srsDimension") or attributes.get("dimension") or ""
    if declared and small(declared) is None:
        raise Unreadable(f"declares a dimension of {declared[:60]!r}")
    return Node(
        name=local(name),
        attributes=attributes,
        srs=attributes.get("srsName", "").strip() or parent.srs,
        dimension=small(declared) or parent.dimension,
    )
