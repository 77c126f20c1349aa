"""Splits ODSQL text into tokens, and reports where it stops being valid.

The grammar does not belong here.
"""

from __future__ import annotations

import re

from ods_pipeline.emulator.http.errors import ApiError, odsql_error, odsql_syntax_error

SPACE = re.compile(r"\s*")
WORD = re.compile(r"[A-Za-z0-9_]*[A-Za-z_][A-Za-z0-9_]*")
BACKQUOTED = re.compile(r"`([^`]+)`")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_])")
STRING = re.compile(r""""((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'""")
DATE = re.compile(r"date\s*(?:'([^']*)'|\"([^\"]*)\")", re.I)
GEOMETRY = re.compile(r"geom\s*(?:'([^']*)'|\"([^\"]*)\")", re.I)
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)?")
KEYWORDS = (
    "and as asc avg by count date_format day dayofweek desc distinct equi false group hour ifnull"
    " or limit lower max millisecond min minute month not null quarter range search second select"
    " sum top true upper where year"
)
RESERVED = frozenset(KEYWORDS.split(" "))


class OdsqlSyntaxError(Exception):
    """The text does not parse at this position."""


class Scanner:
    """Reads one clause from left to right, a token at a time."""

    def __init__(self, text: str, clause: str):
        """Start at the beginning of the text of one clause."""
        self.text = text
        self.clause = clause
        self.position = 0
        self.furthest = 0
        self.problem: ApiError | None = None
        self._skip()

    def _skip(self) -> None:
        found = SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position
        self.furthest = max(self.furthest, self.position)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The token at the position, if it matches this pattern."""
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
            self._skip()
        return found

    def word(self, *choices: str) -> str | None:
        """One of these keywords, in lower case."""
        found = WORD.match(self.text, self.position)
        if not found or found.group().lower() not in choices:
            return None
        self.take(WORD)
        return found.group().lower()

    def symbol(self, *choices: str) -> str | None:
        """One of these symbols; longer ones must come first."""
        for choice in choices:
            if self.text.startswith(choice, self.position):
                self.position += len(choice)
                self._skip()
                return choice
        return None

    def require_symbol(self, choice: str) -> None:
        """Read this symbol, or fail."""
        if not self.symbol(choice):
            raise OdsqlSyntaxError

    def string(self) -> str | None:
        """A quoted string, its escapes undone."""
        found = self.take(STRING)
        if not found:
            return None
        return re.sub(r"\\(.)", r"\1", found[1] if found[1] is not None else found[2])

    def number(self) -> int | float | None:
        """A numeric literal with an optional sign."""
        start = self.position
        sign = -1 if self.symbol("-", "+") == "-" else 1
        found = self.take(NUMBER)
        if not found:
            self.position = start
            return None
        text = found.group()
        return sign * (int(text) if text.isdigit() else float(text))

    def at_end(self) -> bool:
        """Whether everything was read."""
        return self.position >= len(self.text)

    def since(self, start: int) -> str:
        """The text read since a position."""
        return self.text[start : self.position].strip()

    def record_error(self, problem: str) -> None:
        """Remember the first error that is no syntax error; a syntax error has precedence."""
        self.problem = self.problem or odsql_error(problem, self.clause)

    def record_api_error(self, problem: ApiError) -> None:
        """As ``record_error``, for errors with an envelope of their own."""
        self.problem = self.problem or problem

    def unexpected(self) -> ApiError:
        """The syntax error, at the furthest position that any reading reached."""
        self.position = self.furthest
        if self.at_end():
            return odsql_syntax_error(f"unexpected end of clause in {self.text}", self.clause)
        piece = WORD.match(self.text, self.position)
        seen = piece.group() if piece else self.text[self.position]
        problem = f"unexpected {seen} at position {self.position} in {self.text}"
        return odsql_syntax_error(problem, self.clause)
