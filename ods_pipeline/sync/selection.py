"""Which datasets of a portal a run is about: names and patterns, and a filter of the catalog.

Pure: reading the catalog, and asking the portal what its filter lets through, is done in `planner`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

_WILDCARDS = frozenset("*?[")


def is_pattern(name: str) -> bool:
    """Whether a name stands for many: no identifier of a dataset holds such a character."""
    return not _WILDCARDS.isdisjoint(name)


@dataclass(frozen=True)
class Selection:
    """Some datasets of a portal; all of them by default.

    Attributes:
        include: Identifiers, or patterns with `*`, `?` and `[…]`; all datasets without it.
        exclude: The same, of datasets to leave out.
        where: ODSQL filter of the catalog, such as `publisher = 'SNCF'`.
        always: Identifiers of datasets that are chosen whatever the others say.
        typed: Whether a person asks for these now: what is asked for by its full name and cannot
            be landed is a failure then, and not merely left out.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    where: str = ""
    always: tuple[str, ...] = ()
    typed: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is all of the portal."""
        return not (self.include or self.exclude or self.where)

    def has(self, name: str) -> bool:
        """Whether a dataset is one of these by its name."""
        chosen = not self.include or _matches(name, self.include)
        return name in self.always or (chosen and not _matches(name, self.exclude))

    def within(self, configured: Selection) -> Selection:
        """This selection, as a person asks for it, of a portal of which some may be configured.

        Names stand for themselves, whatever is configured; what leaves out adds to it.
        """
        if self.include:
            return self
        both = [f"({where})" for where in (configured.where, self.where) if where]
        include = (*configured.include, *configured.always) if configured.include else ()
        return replace(
            configured,
            # Whether a filter lets through what is always kept is for the portal to say.
            include=include if self.where else configured.include,
            exclude=(*configured.exclude, *self.exclude),
            where=" and ".join(both) if len(both) > 1 else configured.where or self.where,
            always=tuple(name for name in configured.always if not self._leaves_out(name)),
        )

    def _leaves_out(self, name: str) -> bool:
        # Whether `where` lets it through is not known here.
        return bool(self.where) or _matches(name, self.exclude)

    def names(self, available: Iterable[str], matching: Collection[str] | None) -> set[str]:
        """The datasets that it stands for, and what it asks for in vain.

        Args:
            available: The datasets that the portal lists, and those that are landed.
            matching: Those that `where` lets through; None without it.
        """
        there = set(available)
        chosen = {name for name in there if self.has(name)}
        if matching is not None:
            chosen &= {*matching, *self.always}
        return chosen | self.unmatched(there)

    def unmatched(self, available: Collection[str]) -> set[str]:
        """The names and patterns that no dataset has."""
        asked = {name for name in self.include if not _matches(name, self.exclude)}
        return {
            name
            for name in asked.union(self.always)
            if not any(_matches(one, [name]) for one in available)
        }


EVERYTHING = Selection()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
