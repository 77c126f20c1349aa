"""Markdown for Dagster's UI, in which a portal's texts are texts.

Titles, values and messages come from publishers. As Markdown they could link, load images from
elsewhere and format, in the pages of a team. What is shown is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import dagster as dg

_LISTED = 50
# What begins a link, an image, code, emphasis, HTML or a cell; and what is linked without any sign.
_SIGNS = re.compile(r"([\\`*_\[\]<>|~&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def literal(text: str) -> str:
    """A text on one line that shows as it is, whatever signs of Markdown are in it."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def bullets(entries: Mapping[str, str]) -> dg.MetadataValue[str]:
    """Names, each with a sentence; the first fifty of many."""
    lines = [f"- **{literal(name)}** {literal(text)}" for name, text in entries.items()]
    return dg.MetadataValue.md("\n".join(lines[:_LISTED]) or "none")
