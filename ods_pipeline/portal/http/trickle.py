"""Gives up a reply that trickles, from its first byte on: status, headers, framing and body.

A read timeout bounds silence alone, and a byte a second is no silence. What a reply means is not
known here.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, ClassVar, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager


@dataclass(frozen=True)
class Slowest:
    """How slow a reply may come; real portals were seen at 65,000 bytes a second.

    Attributes:
        rate: Bytes of the body a second on the wire, on average over
        seconds: of waiting for them. Status and headers, or what frames a piece of the body, must
            be there after as many seconds of waiting; silence before them does not count.
    """

    rate: float = 200
    seconds: float = 120


class TooSlow(Exception):
    """A reply comes more slowly than is worth waiting for."""


class Patience:
    """The waiting for one part of a reply: its head, or the next piece of its body."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Wait for another part from now on."""
        self._waited, self._came, self._begun = 0.0, 0, False

    def add(self, waited: float, came: int) -> None:
        """Count what came, and how long it was waited for.

        Raises:
            TooSlow: The part has begun and should have been whole by now.
        """
        self._came += came
        # A portal may be silent while it computes; the read timeout bounds that.
        if self._begun:
            self._waited += waited
        self._begun = True
        if came and self._waited >= self._seconds:
            raise TooSlow(f"{self._came} bytes in {self._waited:.0f} seconds")


def next_piece(response: requests.Response) -> None:
    """Say that the next piece of a reply's body is waited for."""
    patience = getattr(getattr(response.raw, "_original_response", None), "patience", None)
    if patience is not None:
        patience.begin()


class PatientAdapter(HTTPAdapter):
    """Sends requests, directly or through any proxy, and watches how slowly replies come."""

    def __init__(self, slowest: Slowest) -> None:
        self._response_class = type("_Watched", (_Watched,), {"seconds": slowest.seconds})
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the connections, as requests does."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the connections through a proxy, as requests does."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._watch(manager)
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request.

        Raises:
            requests.RequestException: There is no reply, or its head trickles.
        """
        try:
            return super().send(request, *args, **kwargs)
        except TooSlow as slow:
            raise requests.ReadTimeout(slow, request=request) from slow

    def _watch(self, manager: PoolManager) -> None:
        pools: Mapping[str, Any] = manager.pool_classes_by_scheme
        watched = {scheme: self._watched(pool) for scheme, pool in pools.items()}
        manager.pool_classes_by_scheme = watched

    def _watched(self, pool: type[Any]) -> type[Any]:
        """The same pool, whose connections read replies with patience and no more."""
        made = pool.ConnectionCls
        connection = type(made.__name__, (made,), {"response_class": self._response_class})
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Watched(HTTPResponse):
    """Reads a reply of a portal or of a proxy."""

    seconds: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patience = Patience(self.seconds)
        # Whatever the connection is, plain, TLS, or TLS in TLS: its bytes come through this file.
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_WatchedBytes(raw, self.patience))


class _WatchedBytes(io.RawIOBase):
    """The bytes of a connection as they come."""

    def __init__(self, raw: io.RawIOBase, patience: Patience) -> None:
        self._raw, self._patience = raw, patience

    def readinto(self, buffer: Any) -> int | None:
        started = time.monotonic()
        came = cast("int | None", self._raw.readinto(buffer))
        self._patience.add(time.monotonic() - started, came or 0)
        return came

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()
