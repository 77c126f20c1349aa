"""Quoting for ODSQL, the portals' query language, so that no value is read as syntax.

Field names are always in backquotes: digits alone and reserved words are legal names. Composing
whole queries is the caller's work.
"""

from __future__ import annotations

from ods_pipeline.errors import ConfigurationError


def quoted_field(name: str) -> str:
    """A field's name as a literal.

    Raises:
        ConfigurationError: The name holds a backquote, for which ODSQL documents no escape.
    """
    if "`" in name:
        raise ConfigurationError(f"ODSQL cannot name the field {name!r}: it holds a backquote")
    return f"`{name}`"


def quoted_text(value: str) -> str:
    r"""A text as a literal in double quotes; `\` and `"` are escaped.

    Raises:
        ConfigurationError: The text holds a line break, which ODSQL refuses in a literal.
    """
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"ODSQL cannot hold a line break in a text: {value!r}")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
