"""Small XML documents put together from tags; collections of features are streamed instead."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr


def text(value: object) -> str:
    """A value as the text of an element."""
    return escape(str(value))


def tag(element: str, /, *inner: str, **attributes: str) -> str:
    """An element; in the names of attributes a double underscore is a colon."""
    told = "".join(f" {k.replace('__', ':')}={quoteattr(v)}" for k, v in attributes.items())
    return f"<{element}{told}>{''.join(inner)}</{element}>" if inner else f"<{element}{told}/>"
