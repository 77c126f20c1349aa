"""What names mean in a clause: fields and aliases, with the request's time zone and language.

Syntax does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ods_pipeline.emulator.datasets.dataset import Column

NUMBERS = ("int", "double")
TIMES = ("date", "datetime")
UNKNOWN = Column("", "unknown", "NULL")


@dataclass(frozen=True)
class Scope:
    """The columns that a clause may name."""

    columns: tuple[Column, ...]
    timezone: str = "UTC"
    lang: str = "en"
    aliases: Mapping[str, Column] = field(default_factory=dict)
    forbidden: Callable[[str], bool] = lambda _: False
    prefix: str = ""

    def find(self, name: str) -> Column | None:
        """The column of this name; the prefix of basic metadata may be left out."""
        if name in self.aliases:
            return self.aliases[name]
        for candidate in (name, self.prefix + name):
            for column in self.columns:
                if column.name == candidate:
                    return replace(column, name=name)
        return None

    def aliased(self, columns: tuple[Column, ...]) -> Scope:
        """The same scope where these names are known too."""
        return replace(self, aliases={**self.aliases, **{c.name: c for c in columns}})
