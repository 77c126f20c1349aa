"""Small XML documents of a WFS as trees of local names, read safely.

Servers differ in prefixes and namespaces and agree on local names, so only these are kept. Feature
collections are no small documents: they have their own reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_DEEPEST = 100


class Unreadable(ValueError):
    """This is no XML document, or none that an honest server sends."""


@dataclass(frozen=True)
class Root:
    """The outermost element of a document.

    Attributes:
        namespace: Its namespace; empty where its prefix is not declared.
        name: Its local name.
        attributes: Its attributes by local name.
    """

    namespace: str
    name: str
    attributes: dict[str, str]


class _Seen(Exception):
    """The root has come; what follows is not needed."""


def root_of(head: bytes) -> Root | None:
    """The outermost element, from as many bytes as there are.

    Returns:
        None where it has not come yet.

    Raises:
        Unreadable: No XML document begins like this.
    """
    found: list[Root] = []

    def started(name: str, attributes: dict[str, str]) -> None:
        prefix = name.rpartition(":")[0]
        namespace = attributes.get(f"xmlns:{prefix}" if prefix else "xmlns", "")
        plain = {local(key): value for key, value in attributes.items()}
        found.append(Root(namespace, local(name), plain))
        raise _Seen

    parser = _parser()
    parser.StartElementHandler = started
    try:
        parser.Parse(head, False)
    except _Seen:
        return found[0]
    except expat.ExpatError as error:
        raise Unreadable(str(error)) from error
    return None


def tree_of(body: bytes) -> Element:
    """A whole document, names without prefixes.

    Raises:
        Unreadable: It is no XML, not whole, nested too deeply, or has a document type.
    """
    builder = TreeBuilder()
    depth = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise Unreadable("it is nested too deeply")
        builder.start(local(name), {local(key): value for key, value in attributes.items()})

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(local(name))

    parser = _parser()
    parser.StartElementHandler, parser.EndElementHandler = started, ended
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Unreadable(str(error)) from error
    return builder.close()


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]


def text_of(element: Element, name: str) -> str:
    """The text of the first child of that name, trimmed; empty without one."""
    return (element.findtext(name) or "").strip()


def all_texts(element: Element, name: str) -> Iterator[str]:
    """The text of every descendant of that name, trimmed; empty ones are left out."""
    found = ((item.text or "").strip() for item in element.iter(name))
    return (text for text in found if text)


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise Unreadable("it has a document type, which no WFS reply has")
