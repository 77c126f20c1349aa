"""What can go wrong on the way, by name, and the faults that wait for their requests.

What each of them does to a reply is in `spoiling`, to the rows and columns in `spoilt_rows`.
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
    """One thing that goes wrong; make it with the methods below.

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
    def quota(
        cls, reset: str | None = None, unit: str = "day", retry_after: int | None = None
    ) -> Fault:
        """429 with the odd envelope; it names no date where that is empty."""
        return cls(
            "quota", 0, "2026-10-01T00:00:00Z" if reset is None else reset, unit, retry_after
        )

    @classmethod
    def html(cls, as_data: bool = False) -> Fault:
        """200 with a login page, under its own content type or under that of the data."""
        return cls("html", flag=as_data)

    @classmethod
    def cut(cls, after_bytes: int) -> Fault:
        """The connection closes after so many bytes; after more than there are, without the end."""
        return cls("cut", after=after_bytes)

    @classmethod
    def short_body(cls, after_bytes: int, packed: bool = False) -> Fault:
        """The body ends cleanly after so many bytes, of what is sent where it is packed."""
        return cls("short_body", after=after_bytes, flag=packed)

    @classmethod
    def reset(cls, after_bytes: int | None = None) -> Fault:
        """The connection is reset, before any reply or after so many bytes of it."""
        return cls("reset", after=after_bytes)

    @classmethod
    def stall(cls, seconds: float, after_bytes: int | None = None) -> Fault:
        """Nothing comes for a while, before the reply or after so many bytes of it."""
        return cls("stall", seconds, after=after_bytes)

    @classmethod
    def unheard(cls, seconds: float) -> Fault:
        """Silence, then the connection ends: the request never got through to the portal."""
        return cls("unheard", seconds)

    @classmethod
    def late(cls, seconds: float) -> Fault:
        """The request is processed, then nothing comes for a while, then the reply."""
        return cls("late", seconds)

    @classmethod
    def header_only(cls, honest: bool = False) -> Fault:
        """An export ends cleanly without a row; features may come with an honest count of them."""
        return cls("header_only", flag=honest)

    @classmethod
    def short_rows(cls, missing: int, honest: bool = False) -> Fault:
        """An export ends cleanly with so many rows missing; features count as above."""
        return cls("short_rows", missing, flag=honest)

    @classmethod
    def doubled(cls, instead: bool = False) -> Fault:
        """The first row, or feature, comes twice; instead of the last one where that is said."""
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
        """The body trickles."""
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
        """An ExceptionReport amid the features; the document ends after it, or breaks off."""
        return cls("exception_report", after_features, flag=ends)

    @classmethod
    def empty_body(cls) -> Fault:
        """200 and nothing."""
        return cls("empty_body")

    @classmethod
    def redirect(cls, url: str) -> Fault:
        """302 to another address."""
        return cls("redirect", 0, url)

    @classmethod
    def charset(cls, name: str, told: bool = False) -> Fault:
        """The texts come in another charset; header and XML declaration say so where it is told."""
        return cls("charset", text=name, flag=told)

    @classmethod
    def content_length(cls, off: int) -> Fault:
        """The length is told, and so much is added to it."""
        return cls("content_length", off)

    @classmethod
    def bad_gzip(cls, damage: str) -> Fault:
        """A packed body is truncated, has a wrong checksum or flipped bits, is none, or untold."""
        if damage not in GZIP_DAMAGES:
            raise ValueError(f"damages are {', '.join(GZIP_DAMAGES)}")
        return cls("bad_gzip", text=damage)

    @classmethod
    def miscount(cls, by: int) -> Fault:
        """The counts in a reply are off by so many: ``total_count``, ``numberMatched`` and such."""
        return cls("miscount", by)

    @classmethod
    def fewer_datasets(cls, missing: int, honest: bool = False) -> Fault:
        """A catalog lacks its last datasets; ``total_count`` says so where it is honest."""
        return cls("fewer_datasets", missing, flag=honest)

    @classmethod
    def meanwhile(cls, do: Sequence[Mapping[str, Any]], after_bytes: int = 0) -> Fault:
        """Verbs are done between two pieces of the body, which stays as it was before them.

        Each has a ``verb``, a ``dataset_id`` where it needs one, and the verb's own arguments.
        """
        return cls("meanwhile", text=json.dumps(list(do)), after=after_bytes)

    @classmethod
    def torn(cls, do: Sequence[Mapping[str, Any]], after_rows: int) -> Fault:
        """Verbs are done after so many rows were read: the others are those of after them."""
        return cls("torn", after_rows, json.dumps(list(do)))

    @property
    def rows_missing(self) -> int | None:
        """How many rows an export keeps back; nothing for all of them."""
        if self.kind == "header_only":
            return None
        return int(self.number) if self.kind == "short_rows" else 0

    @property
    def report_position(self) -> tuple[int, bool] | None:
        """After how many features a report comes, and whether the document then still ends."""
        if self.kind != "exception_report":
            return None
        return int(self.number), self.flag

    @property
    def verbs(self) -> list[dict[str, Any]]:
        """What is to be done meanwhile."""
        return list(json.loads(self.text)) if self.kind in {"meanwhile", "torn"} else []


NO_FAULT = Fault("none")
KINDS = tuple(name for name, made in vars(Fault).items() if isinstance(made, classmethod))


class PendingFaults:
    """The faults that wait for their requests.

    Attributes:
        used: How many requests met one since they were last cleared.
    """

    def __init__(self) -> None:
        """None yet."""
        self.used = 0
        self._pending: list[tuple[re.Pattern[str], Fault, int | None]] = []
        self._lock = threading.Lock()

    def add(self, match: str, fault: Fault, times: int | None) -> None:
        """Wait for requests whose path and query match, so many times or for ever."""
        with self._lock:
            self._pending.append((re.compile(match), fault, times))

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._pending.clear()
            self.used = 0

    def take(self, target: str) -> Fault | None:
        """The first fault waiting for this request; it is used up by one."""
        with self._lock:
            for i, (pattern, fault, times) in enumerate(self._pending):
                if pattern.search(target):
                    if times is not None:
                        left = [(pattern, fault, times - 1)] if times > 1 else []
                        self._pending[i : i + 1] = left
                    self.used += 1
                    return fault
        return None
