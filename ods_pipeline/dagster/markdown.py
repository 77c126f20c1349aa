"""Markdown for Dagster's UI, in which a portal's texts are texts.

Titles, values and messages come from publishers. As Markdown they could link, load images from
elsewhere and format, in the pages of a team. What is shown is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser

import dagster as dg

_LISTED = 50
# Descriptions are pages of HTML on some portals; what a page shows is their beginning.
_READ, _SHOWN = 20_000, 1_500
# What begins a link, an image, code, emphasis, HTML or a cell; and what is linked without any sign.
# What would begin a heading, a line or a list.
_FIRST = re.compile(r"^(\d*)(?=[#+=.)-])")
# Tags that end no paragraph.
_INLINE = re.compile(r"a|abbr|b|big|code|em|font|i|img|mark|q|s|small|span|strong|su[bp]|u|wbr")
_UNSEEN = frozenset({"script", "style", "template", "title"})
_SIGNS = re.compile(r"([\\`*_\[\]<>|~&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def literal(text: str) -> str:
    """A text on one line that shows as it is, whatever signs of Markdown are in it."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def prose(text: str) -> str:
    """A publisher's description, text or HTML, as paragraphs that format nothing.

    Args:
        text: The description; markup is left out, but for paragraphs and lists.
    """
    parser = _Prose()
    parser.feed(text[:_READ].replace("\n\n", "<p>"))
    parser.close()
    shown, left, follows = "", _SHOWN, False
    for item, paragraph in parser.paragraphs:
        plain = " ".join(paragraph.split())
        if plain and left > 0:
            plain, left = plain[:left] + ("…" if len(plain) > left else ""), left - len(plain)
            gap = "\n" if item and follows else "\n\n"
            shown += gap + ("- " if item else "") + _FIRST.sub(r"\1\\", literal(plain))
            follows = item
    return shown.strip()


class _Prose(HTMLParser):
    """The paragraphs of HTML, each with whether it is an entry of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[tuple[bool, str]] = [(False, "")]
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in _UNSEEN
        self._break(tag, opens=True)

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self._break(tag, opens=False)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            item, text = self.paragraphs[-1]
            # Word processors leave these everywhere: a space of no width, and a mark of order.
            self.paragraphs[-1] = item, text + data.replace("\u200b", "").replace("\ufeff", "")

    def _break(self, tag: str, *, opens: bool) -> None:
        if not _INLINE.fullmatch(tag):
            inside = tag == "li" and opens
            if self.paragraphs[-1][1].strip():
                self.paragraphs.append((inside, ""))
            elif opens:
                self.paragraphs[-1] = inside or self.paragraphs[-1][0], ""


def bullets(entries: Mapping[str, str]) -> dg.MetadataValue[str]:
    """Names, each with a sentence; the first fifty of many."""
    lines = [f"- **{literal(name)}** {literal(text)}" for name, text in entries.items()]
    return dg.MetadataValue.md("\n".join(lines[:_LISTED]) or "none")
