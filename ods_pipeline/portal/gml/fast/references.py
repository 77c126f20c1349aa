"""References in a text, to what they stand for: XML's own alone."""

from __future__ import annotations

import re

_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
# The ampersand last: what it makes is no reference any more.
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}


def resolved(value: str) -> str:
    """A text with its references resolved.

    Raises:
        ValueError: One is none of XML's own.
    """
    if value.count("&") != sum(map(value.count, _ENTITIES)):
        return _ENTITY.sub(_character, value)
    for reference, character in _ENTITIES.items():
        value = value.replace(reference, character)
    return value


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal = found.groups()
    if decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        if code < 32 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
            raise ValueError(found[0])
        return chr(code)
    if found[0] not in _ENTITIES:
        raise ValueError(found[0])
    return _ENTITIES[found[0]]
