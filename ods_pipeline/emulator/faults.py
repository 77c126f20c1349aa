"""What can go wrong on the way: faults that wait for requests, and what each does to a reply."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from ods_pipeline.emulator.errors import coded, quota_spent
from ods_pipeline.emulator.reply import COMMON, Piece, Reply, of_error
from ods_pipeline.emulator.wfs.dialect import XML
from ods_pipeline.emulator.wfs.refusals import internal

HTML = "text/html; charset=utf-8"
LOGIN = b"<!DOCTYPE html>\n<html><title>Login</title><body>Please log in.</body></html>\n"


class Cut(Exception):
    """The connection ends here, without the end of the message."""

    def __init__(self, reset: bool = False):
        """Say whether it ends with a reset."""
        super().__init__("cut")
        self.reset = reset


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; make it with the methods below."""

    kind: str
    number: float = 0
    text: str = ""
    unit: str = "day"
    retry_after: int | None = None

    @classmethod
    def status(cls, status: int) -> Fault:
        """An error page of the web server in front of the portal."""
        return cls("status", status)

    @classmethod
    def quota(
        cls, reset: str | None = None, unit: str = "day", retry_after: int | None = None
    ) -> Fault:
        """429 with the odd envelope."""
        return cls("quota", 0, reset or "2026-10-01T00:00:00Z", unit, retry_after)

    @classmethod
    def html(cls) -> Fault:
        """200 with a login page."""
        return cls("html")

    @classmethod
    def cut(cls, after_bytes: int) -> Fault:
        """The connection closes after so many bytes of the body as sent."""
        return cls("cut", after_bytes)

    @classmethod
    def reset(cls) -> Fault:
        """The connection is reset before any reply."""
        return cls("reset")

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """Nothing comes for a while, then the reply."""
        return cls("stall", seconds)

    @classmethod
    def unheard(cls, seconds: float) -> Fault:
        """Silence, then the connection ends: the request never got through to the portal."""
        return cls("unheard", seconds)

    @classmethod
    def late(cls, seconds: float) -> Fault:
        """The request is processed, then nothing comes for a while, then the reply."""
        return cls("late", seconds)

    @classmethod
    def header_only(cls) -> Fault:
        """An export ends cleanly without a row."""
        return cls("header_only")

    @classmethod
    def short_rows(cls, missing: int) -> Fault:
        """An export ends cleanly with so many rows missing."""
        return cls("short_rows", missing)

    @classmethod
    def slow(cls, bytes_per_second: float) -> Fault:
        """The body trickles."""
        return cls("slow", bytes_per_second)

    @classmethod
    def appended_error(cls) -> Fault:
        """An error envelope follows the body of a 200 that ends cleanly."""
        return cls("appended_error")

    @classmethod
    def exception_report(cls, after_features: int = 0, ends: bool = True) -> Fault:
        """An ExceptionReport amid the features; the document ends after it, or breaks off."""
        return cls("exception_report", after_features, "ends" if ends else "")

    @classmethod
    def empty_body(cls) -> Fault:
        """200 and nothing."""
        return cls("empty_body")

    @classmethod
    def redirect(cls, url: str) -> Fault:
        """302 to another address."""
        return cls("redirect", 0, url)

    @property
    def withheld(self) -> int | None:
        """How many rows an export keeps back: all of them is nothing."""
        if self.kind == "header_only":
            return None
        return int(self.number) if self.kind == "short_rows" else 0

    @property
    def interruption(self) -> tuple[int, bool] | None:
        """After how many features a report comes, and whether the document then still ends."""
        if self.kind != "exception_report":
            return None
        return int(self.number), bool(self.text)

    def instead(self) -> Reply | None:
        """The reply that comes instead of the true one, for faults that have one."""
        if self.kind == "status":
            return _page(int(self.number))
        if self.kind == "quota":
            return of_error(quota_spent(10_000, self.text, self.unit, self.retry_after))
        if self.kind == "html":
            return Reply(200, [LOGIN], HTML)
        if self.kind == "empty_body":
            return Reply(200, [], whole=True, zippable=False)
        if self.kind == "redirect":
            return Reply(302, [], HTML, (("location", self.text), *COMMON), True, False)
        return None

    def before(self) -> None:
        """What happens before anything is sent."""
        if self.kind == "reset":
            raise Cut(reset=True)
        if self.kind in {"stall", "unheard"}:
            time.sleep(self.number)
        if self.kind == "unheard":
            raise Cut

    def spoiled(self, reply: Reply) -> Reply:
        """The true reply with the fault in it; it is there before it comes late."""
        if self.kind == "late":
            time.sleep(self.number)
        if self.kind == "appended_error":
            return replace(reply, body=_followed(reply.body, _broken_down(reply)))
        return reply

    def on_the_wire(self, pieces: Iterable[Piece]) -> Iterable[Piece]:
        """What happens to the bytes as they are sent."""
        if self.kind == "cut":
            return _cut(pieces, int(self.number))
        return _slowed(pieces, self.number) if self.kind == "slow" else pieces


def _page(status: int) -> Reply:
    phrase = "Service Temporarily Unavailable" if status == 503 else HTTPStatus(status).phrase
    title = f"{status} {phrase}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>openresty</body>\r\n</html>\r\n"
    return Reply(status, [page.encode()], "text/html", COMMON, True, False)


def _broken_down(reply: Reply) -> bytes:
    """An error as the endpoint of this reply tells it."""
    if reply.content_type == XML:
        return internal().report("1.1.0")
    return coded(500, "InternalError", "An internal error occurred.").body()


def _followed(body: Iterable[Piece], last: bytes) -> Iterator[Piece]:
    yield from body
    yield last


def _cut(pieces: Iterable[Piece], left: int) -> Iterator[Piece]:
    for piece in pieces:
        if len(piece) >= left:
            yield bytes(piece[:left])
            break
        yield piece
        left -= len(piece)
    raise Cut


def _slowed(pieces: Iterable[Piece], rate: float) -> Iterator[Piece]:
    step = max(1, int(rate / 20))
    for piece in pieces:
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            time.sleep(len(part) / rate)
            yield part


class Faults:
    """The faults that wait for their requests."""

    def __init__(self) -> None:
        """None yet."""
        self._waiting: list[tuple[re.Pattern[str], Fault, int | None]] = []
        self._lock = threading.Lock()

    def add(self, match: str, fault: Fault, times: int | None) -> None:
        """Wait for requests whose path and query match, so many times or for ever."""
        with self._lock:
            self._waiting.append((re.compile(match), fault, times))

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._waiting.clear()

    def met(self, target: str) -> Fault | None:
        """The first fault waiting for this request; it is used up by one."""
        with self._lock:
            for i, (pattern, fault, times) in enumerate(self._waiting):
                if pattern.search(target):
                    if times is not None:
                        left = [(pattern, fault, times - 1)] if times > 1 else []
                        self._waiting[i : i + 1] = left
                    return fault
        return None
