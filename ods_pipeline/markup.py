"""Texts of portals for people: in one line, or as HTML in which they are nothing but texts.

Portals are not trusted: what they call a title may be markup, a formula or a link. What is shown
does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

# Characters that move a terminal's cursor or reverse text, and halves of characters.
HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
LONGEST = 1_000

# Notebooks read these as the beginning of a formula, which could link; in an element of its own
# the character begins none.
_OF_FORMULAS = re.compile(r"[$\\]")
# The classes by which the two MathJaxes of notebooks leave an element alone.
_NO_FORMULA = "tex2jax_ignore mathjax_ignore"


def plain(text: str, most: int = LONGEST) -> str:
    """A text for people in one line: without control characters, and cut where it is too long."""
    text = HIDDEN.sub(" ", text[: most + 1]).strip()
    return text if len(text) <= most else f"{text[:most]}…"


def literal(text: str, most: int = LONGEST) -> str:
    """A text as HTML that shows it as it is, in an element or in an attribute's quotes."""
    return escape(plain(text, most))


def shown(text: str, most: int = LONGEST) -> str:
    """The same for an element in a notebook, where formulas would be set."""
    return _OF_FORMULAS.sub(lambda found: f"<span>{found[0]}</span>", literal(text, most))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(_cell("th", text) for text in heads)
    lines = ("".join(_cell("td", text) for text in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(named: Mapping[str, str]) -> str:
    """Names, each with a text; those without a text are left out."""
    rows = (f"<tr>{_cell('th', n)}{_cell('td', t)}</tr>" for n, t in named.items() if t)
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _cell(tag: str, text: str) -> str:
    # Notebooks set all tables as if they held numbers.
    return f'<{tag} style="text-align:left">{shown(text)}</{tag}>'


def card(title: str, *parts: str) -> str:
    """What a notebook shows of something: a heading, and below it parts that are HTML."""
    head = f"<p><strong>{shown(title)}</strong></p>"
    return f'<div class="{_NO_FORMULA}">{head}{"".join(parts)}</div>'
