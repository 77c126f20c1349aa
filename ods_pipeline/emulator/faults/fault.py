"""The faults there are, by name, and those that are pending for later requests.

What each does to a reply, or to rows, does not belong here.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HTML = "text/html; charset=utf-8"
COLUMN_CHANGES = ("duplicate", "missing", "extra", "renamed", "retyped", "wrong")
EMPTY_ROW_GROUPS = ("last", "between", "all")
GZIP_DAMAGES = ("truncated", "checksum", "flipped", "none", "untold")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; made by the methods below.

    Bytes are counted as they are sent; a negative number counts from the end.
    """

    kind: str
    number: float = 0
    text: str = ""
    unit: str = "day"
    retry_after: int | None = None
    flag: bool = False
    after: int | None = None

    @classmethod
    def status(cls, status: int) -> Fault:
        """An error page of the web server in front of the portal."""
        return cls("status", status)

    @classmethod
    def refused(cls, status: int = 403) -> Fault:
        """An error of the API itself, as an endpoint gives it that is not open to everybody."""
        return cls("refused", status)

    @classmethod
    def uncounted(cls) -> Fault:
        """A reply without ``total_count``."""
        return cls("uncounted")

    @classmethod
    def behind(cls, seconds: float) -> Fault:
        """The catalog gives dates of the data that are so much too old."""
        return cls("behind", seconds)

    @classmethod
    def header(cls, name: str, value: str) -> Fault:
        """A header is set, such as ``age`` by a cache, in place of any of that name."""
        return cls("header", text=value, unit=name)

    @classmethod
    def quota(
        cls, reset: str | None = None, unit: str = "day", retry_after: int | None = None
    ) -> Fault:
        """429 with the envelope of quotas, which names no date where ``reset`` is empty."""
        return cls(
            "quota", 0, "2026-10-01T00:00:00Z" if reset is None else reset, unit, retry_after
        )

    @classmethod
    def html(cls, as_data: bool = False) -> Fault:
        """200 with a login page, under its own content type or under that of the data."""
        return cls("html", flag=as_data)

    @classmethod
    def cut(cls, after_bytes: int) -> Fault:
        """The connection closes after so many bytes, or without a final chunk if it has fewer."""
        return cls("cut", after=after_bytes)

    @classmethod
    def short_body(cls, after_bytes: int, packed: bool = False) -> Fault:
        """The body ends cleanly after so many bytes, counted after compression if ``packed``."""
        return cls("short_body", after=after_bytes, flag=packed)

    @classmethod
    def reset(cls, after_bytes: int | None = None) -> Fault:
        """The connection is reset, before any reply or after so many bytes of it."""
        return cls("reset", after=after_bytes)

    @classmethod
    def stall(cls, seconds: float, after_bytes: int | None = None) -> Fault:
        """Nothing is sent for a while, before the reply or after so many bytes of it."""
        return cls("stall", seconds, after=after_bytes)

    @classmethod
    def unheard(cls, seconds: float) -> Fault:
        """No reply, then the connection ends: the request never reached the portal."""
        return cls("unheard", seconds)

    @classmethod
    def late(cls, seconds: float) -> Fault:
        """The request is processed, then nothing is sent for a while, then the reply."""
        return cls("late", seconds)

    @classmethod
    def header_only(cls, honest: bool = False) -> Fault:
        """An export ends cleanly without a row; the count of features agrees if ``honest``."""
        return cls("header_only", flag=honest)

    @classmethod
    def short_rows(cls, missing: int, honest: bool = False) -> Fault:
        """An export ends cleanly with so many rows missing; counts as in ``header_only``."""
        return cls("short_rows", missing, flag=honest)

    @classmethod
    def doubled(cls, instead: bool = False) -> Fault:
        """The first row, or feature, is repeated, in place of the last one if ``instead``."""
        return cls("doubled", flag=instead)

    @classmethod
    def column(cls, change: str, field: str = "", type: str = "text") -> Fault:
        """A column is duplicate, missing, extra, renamed, retyped, or wrong: ``n/a`` everywhere."""
        if change not in COLUMN_CHANGES:
            raise ValueError(f"a column is one of {', '.join(COLUMN_CHANGES)}")
        return cls("column", text=change, unit=f"{field} {type}")

    @classmethod
    def empty_row_groups(cls, where: str) -> Fault:
        """Parquet with row groups without rows: the last, one between others, or all."""
        if where not in EMPTY_ROW_GROUPS:
            raise ValueError(f"empty row groups are {', '.join(EMPTY_ROW_GROUPS)}")
        return cls("empty_row_groups", text=where)

    @classmethod
    def slow(cls, bytes_per_second: float) -> Fault:
        """The body is sent slowly."""
        return cls("slow", bytes_per_second)

    @classmethod
    def appended_error(cls) -> Fault:
        """An error envelope follows the body of a 200 that ends cleanly."""
        return cls("appended_error")

    @classmethod
    def appended_text(cls, text: str = "upstream timed out\n") -> Fault:
        """A text follows the body of a 200 that ends cleanly."""
        return cls("appended_text", text=text)

    @classmethod
    def error_instead(cls) -> Fault:
        """200 with an error envelope, under the content type of the data."""
        return cls("error_instead")

    @classmethod
    def text_instead(cls, text: str = "upstream timed out\n") -> Fault:
        """200 with a text, under the content type of the data."""
        return cls("text_instead", text=text)

    @classmethod
    def exception_report(cls, after_features: int = 0, ends: bool = True) -> Fault:
        """An ExceptionReport between features; the document then goes on, or is incomplete."""
        return cls("exception_report", after_features, flag=ends)

    @classmethod
    def empty_body(cls) -> Fault:
        """200 with an empty body."""
        return cls("empty_body")

    @classmethod
    def redirect(cls, url: str) -> Fault:
        """302 to another address."""
        return cls("redirect", 0, url)

    @classmethod
    def charset(cls, name: str, told: bool = False) -> Fault:
        """Texts in another charset; header and XML declaration name it if ``told``."""
        return cls("charset", text=name, flag=told)

    @classmethod
    def content_length(cls, off: int) -> Fault:
        """The reply has a content length that is wrong by so many bytes."""
        return cls("content_length", off)

    @classmethod
    def bad_gzip(cls, damage: str) -> Fault:
        """A compressed body that is damaged: ``truncated``, wrong ``checksum``, ``flipped`` bits.

        ``none``: the header says gzip, but the body is not. ``untold``: the other way round.
        """
        if damage not in GZIP_DAMAGES:
            raise ValueError(f"damages are {', '.join(GZIP_DAMAGES)}")
        return cls("bad_gzip", text=damage)

    @classmethod
    def miscount(cls, by: int) -> Fault:
        """Counts in a reply are wrong by so many: ``total_count``, ``numberMatched`` and others."""
        return cls("miscount", by)

    @classmethod
    def fewer_datasets(cls, missing: int, honest: bool = False) -> Fault:
        """The catalog lacks its last datasets; ``total_count`` agrees if ``honest``."""
        return cls("fewer_datasets", missing, flag=honest)

    @classmethod
    def meanwhile(cls, do: Sequence[Mapping[str, Any]], after_bytes: int = 0) -> Fault:
        """Verbs are done while the body is sent, which stays as it was before them.

        Each has a ``verb``, a ``dataset_id`` where it needs one, and the verb's own arguments.
        """
        return cls("meanwhile", text=json.dumps(list(do)), after=after_bytes)

    @classmethod
    def torn(cls, do: Sequence[Mapping[str, Any]], after_rows: int) -> Fault:
        """Verbs are done after so many rows were read: the others are from after the change."""
        return cls("torn", after_rows, json.dumps(list(do)))

    @property
    def rows_missing(self) -> int | None:
        """How many rows an export leaves out; none stands for all of them."""
        if self.kind == "header_only":
            return None
        return int(self.number) if self.kind == "short_rows" else 0

    @property
    def report_position(self) -> tuple[int, bool] | None:
        """After how many features a report is sent, and whether the document then goes on."""
        if self.kind != "exception_report":
            return None
        return int(self.number), self.flag

    @property
    def verbs(self) -> list[dict[str, Any]]:
        """The verbs to be done while the request is answered."""
        return list(json.loads(self.text)) if self.kind in {"meanwhile", "torn"} else []


NO_FAULT = Fault("none")
KINDS = tuple(name for name, member in vars(Fault).items() if isinstance(member, classmethod))


class PendingFaults:
    """The faults that wait for a matching request.

    Attributes:
        used: How many requests had a fault since the last ``clear``.
    """

    def __init__(self) -> None:
        """None yet."""
        self.used = 0
        self._pending: list[tuple[re.Pattern[str], Fault, int | None]] = []
        self._lock = threading.Lock()

    def add(self, match: str, fault: Fault, times: int | None) -> None:
        """Wait for requests whose path and query match, so many times or always."""
        with self._lock:
            self._pending.append((re.compile(match), fault, times))

    def clear(self) -> None:
        """Remove all."""
        with self._lock:
            self._pending.clear()
            self.used = 0

    def take(self, target: str) -> Fault | None:
        """Take the first fault that matches this request, one time of it."""
        with self._lock:
            for i, (pattern, fault, times) in enumerate(self._pending):
                if pattern.search(target):
                    if times is not None:
                        left = [(pattern, fault, times - 1)] if times > 1 else []
                        self._pending[i : i + 1] = left
                    self.used += 1
                    return fault
        return None
