"""Parses small XML documents of a WFS safely, as trees of local names.

Servers differ in prefixes and namespaces and agree on local names, so only these are kept. Nothing
here is meant for feature collections, which may be large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_MOST_LEVELS = 100


class Unreadable(ValueError):
    """This is not XML, or has something that WFS documents do not have."""


@dataclass(frozen=True)
class Root:
    """The root element of a document.

    Attributes:
        namespace: Its namespace; empty if its prefix is not declared.
        name: Its local name.
        attributes: Its attributes by local name.
    """

    namespace: str
    name: str
    attributes: dict[str, str]


class _RootFound(Exception):
    """The root has been read; the rest is not needed."""


def root_of(head: bytes) -> Root | None:
    """The root element, from the first bytes of a document.

    Returns:
        None if there are too few bytes.

    Raises:
        Unreadable: They are not the beginning of an XML document.
    """
    roots: list[Root] = []

    def started(name: str, attributes: dict[str, str]) -> None:
        prefix = name.rpartition(":")[0]
        namespace = attributes.get(f"xmlns:{prefix}" if prefix else "xmlns", "")
        plain = {local(key): value for key, value in attributes.items()}
        roots.append(Root(namespace, local(name), plain))
        raise _RootFound

    parser = _parser()
    parser.StartElementHandler = started
    try:
        parser.Parse(head, False)
    except _RootFound:
        return roots[0]
    except expat.ExpatError as error:
        raise Unreadable(str(error)) from error
    return None


def tree_of(body: bytes) -> Element:
    """A whole document, with names without prefixes.

    Raises:
        Unreadable: It is not XML, cut off, nested too deeply, or has a document type.
    """
    builder = TreeBuilder()
    depth = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_LEVELS:
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
    """The trimmed text of the first child with this name; empty without one."""
    return (element.findtext(name) or "").strip()


def all_texts(element: Element, name: str) -> Iterator[str]:
    """The trimmed text of every descendant with this name, without empty ones."""
    texts = ((item.text or "").strip() for item in element.iter(name))
    return (text for text in texts if text)


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise Unreadable("it has a document type, which no WFS reply has")
