"""A request as the endpoints see it, with checked access to the API's parameters.

What a parameter means for a query does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ods_pipeline.emulator.faults.fault import NO_FAULT, Fault
from ods_pipeline.emulator.http.errors import invalid_parameter

LANGUAGES = ("en", "fr", "nl", "pt", "it", "ar", "de", "es", "ca", "eu", "sv")
PREFIX = "/api/explore/v2.1"


@dataclass(frozen=True)
class Request:
    """A request, and the fault that its reply shall have.

    ``rows_before`` is the relation of the dataset's rows before the verbs of a fault were done.
    ``prefix`` is the path of the API's version that links lead to.
    """

    path: str
    pairs: tuple[tuple[str, str], ...]
    base: str
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = NO_FAULT
    rows_before: str = ""
    method: str = "GET"
    body: bytes = b""
    query: str = ""
    prefix: str = PREFIX

    @property
    def root(self) -> str:
        """The address of the API."""
        return self.base + self.prefix

    def one(self, name: str) -> str | None:
        """The last value given to a parameter."""
        values = self.many(name)
        return values[-1] if values else None

    def many(self, name: str) -> list[str]:
        """All values given to a parameter, empty ones left out."""
        return [value for key, value in self.pairs if key == name and value != ""]

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number within bounds."""
        text = self.one(name)
        if text is None:
            return default
        expected = f"{low} <= {name}" + (f" <= {high}" if high is not None else "") + " is expected"
        try:
            value = int(text)
        except ValueError:
            raise invalid_parameter(name, text, "an integer is expected") from None
        if value < low or (high is not None and value > high):
            raise invalid_parameter(name, value, expected)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean."""
        text = self.one(name)
        if text is None:
            return default
        if text.lower() not in ("true", "false", "1", "0"):
            raise invalid_parameter(name, text, "a boolean is expected")
        return text.lower() in ("true", "1")

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of an enumeration."""
        text = self.one(name) or default
        if text not in choices:
            raise invalid_parameter(name, text, f"one of {', '.join(choices)} is expected")
        return text

    @property
    def timezone(self) -> str:
        """The time zone of the datetimes in query and reply."""
        name = self.one("timezone") or "UTC"
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid_parameter("timezone", name, "a timezone is expected") from None
        return name

    @property
    def lang(self) -> str:
        """The language of formatted strings."""
        return self.choice("lang", "en", LANGUAGES)
