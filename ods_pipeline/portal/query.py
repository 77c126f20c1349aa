"""Which records an export or a count asks for, and how names and texts are quoted in ODSQL.

Nothing here sends a request: that belongs to `http` and to the rooms that use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ods_pipeline.errors import ConfigurationError

#: Documented in the API's OpenAPI.
LANGUAGES = ("en", "fr", "nl", "pt", "it", "ar", "de", "es", "ca", "eu", "sv")


def require_whole_number(name: str, value: object) -> None:
    """Refuse what is neither a whole number nor left out.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ConfigurationError(f"{name} is {value!r}: give a whole number")


@dataclass(frozen=True)
class Query:
    """Which records, as ODSQL; all of them by default.

    Attributes:
        where: Filter.
        select: Fields or expressions; one that is no declared field keeps the type that the
            export gives it (text in CSV).
        order_by: Order; without it portals promise none.
        group_by: Grouping.
        limit: Number of records; all without it.
        refine: Facet values to keep, each `facet:value`.
        exclude: Facet values to leave out, each `facet:value`.
        fields: Names of declared fields to read, whose columns keep their types; all without it.
        lang: Language of texts that depend on one, such as names of months.
        timezone: Time zone of the date functions of `where`, as a name of the tz database.
    """

    where: str | None = None
    select: str | Sequence[str] | None = None
    order_by: str | None = None
    group_by: str | None = None
    limit: int | None = None
    refine: Sequence[str] = ()
    exclude: Sequence[str] = ()
    fields: Sequence[str] = ()
    lang: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that is no number.

        Raises:
            ConfigurationError: It is none.
        """
        require_whole_number("limit", self.limit)

    @property
    def reshapes(self) -> bool:
        """Whether the columns are other than the dataset's fields."""
        return self.select is not None or self.group_by is not None

    @property
    def most(self) -> int | None:
        """The number of records asked for; None for all, which the API also calls -1."""
        return None if self.limit == -1 else self.limit

    @property
    def aggregates(self) -> bool:
        """Whether rows may stand for several records, so that a count says nothing of them."""
        return self.group_by is not None or "(" in ", ".join(self._selected)

    @property
    def _selected(self) -> Sequence[str]:
        return self.select.split(",") if isinstance(self.select, str) else self.select or ()

    @property
    def chooses(self) -> bool:
        """Whether it asks for some of the records, so that a count of all is none of them."""
        return bool(self.where or self.refine or self.exclude or self.limit is not None)

    def narrowed(self, condition: str) -> Query:
        """The same for those of its records that meet a condition as well."""
        return replace(self, where=all_of(self.where, condition))

    def keeps(self, name: str) -> bool:
        """Whether a column of a declared field's name is that field, and no expression's alias."""
        chosen = [*self._selected, *(self.group_by or "").split(",")]
        bare = {text.strip().strip("`") for text in chosen} - {""}
        return name in bare or not bare or "*" in bare

    def filters(self) -> dict[str, object]:
        """The parameters that choose records, as counting understands them too."""
        return {
            "where": self.where,
            "refine": list(self.refine) or None,
            "exclude": list(self.exclude) or None,
            # Left out, and not empty, where they are the client's own.
            **({"lang": self.lang} if self.lang else {}),
            **({"timezone": self.timezone} if self.timezone else {}),
        }

    def parameters(self) -> dict[str, object]:
        """All parameters as the API names them."""
        select = self.select
        if self.fields:
            select = [quoted_field(name) for name in self.fields]
        return {
            **self.filters(),
            "select": select if select is None or isinstance(select, str) else ", ".join(select),
            "order_by": self.order_by,
            "group_by": self.group_by,
            "limit": self.most,
        }


ALL = Query()


def all_of(*filters: str | None) -> str | None:
    """One filter for what passes all of these; None where there is none."""
    given = [text for text in filters if text]
    return " and ".join(f"({text})" for text in given) if len(given) > 1 else "".join(given) or None


def quoted_field(name: str) -> str:
    """A field's name in backquotes: digits alone and reserved words are legal names.

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
