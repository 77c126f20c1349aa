"""The emulated portal as one object, with its HTTP server, for tests, demo and command line.

What can be done to the portal is in the verbs; what it answers, in the folders of its APIs.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

from ods_pipeline.emulator import control_api, sample_portal
from ods_pipeline.emulator.admin_verbs import AdminVerbs
from ods_pipeline.emulator.explore.catalog import VisibleCatalogs
from ods_pipeline.emulator.http.server import ReceivedRequest, Server, ServerContext
from ods_pipeline.emulator.quirks import Quirks
from ods_pipeline.emulator.sample_portal import KEY, PRIVATE_DATASET


class Emulator(AdminVerbs):
    """An Opendatasoft portal on loopback, serving in the background while in a ``with`` block."""

    def __init__(
        self,
        *,
        sample: bool = True,
        port: int = 0,
        host: str = "127.0.0.1",
        quota: int = 15_000,
        quirks: Quirks | None = None,
    ):
        """Bind the port.

        Args:
            sample: Begin with the sample portal; else empty.
            port: The port; 0 chooses a free one.
            host: The address to bind.
            quota: Requests allowed a day to all anonymous callers together.
            quirks: Where real portals differ, or are not known.
        """
        super().__init__(quirks or Quirks(), quota)
        if sample:
            sample_portal.load(self)
        catalogs = VisibleCatalogs(self.state)
        context = ServerContext(
            self._authenticator, self._login_routes, catalogs, self.faults, self._control
        )
        try:
            self._server = Server(host, port, context)
        except OSError:
            self.state.store.close()
            raise

    @property
    def url(self) -> str:
        """The address of the portal."""
        return f"http://{self._server.address}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests of the API so far; clear the list to begin again."""
        return self._server.context.requests

    def _control(self, verb: str, dataset_id: str, arguments: dict[str, Any]) -> Any:
        return control_api.call(self, verb, dataset_id, arguments)

    def start(self) -> Emulator:
        """Serve in the background."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving and drop all data."""
        self._server.stop()
        self._server.server_close()
        self.state.store.close()

    def serve(self) -> None:
        """Serve in the foreground until interrupted."""
        with contextlib.suppress(KeyboardInterrupt):
            self._server.serve_forever()
        self._server.server_close()
        self.state.store.close()

    def __enter__(self) -> Emulator:
        """Serve in the background."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving and drop all data."""
        self.close()


def serve(port: int = 8765, *, host: str = "127.0.0.1", quiet: bool = False) -> None:
    """Serve the sample portal until interrupted."""
    portal = Emulator(port=port, host=host)
    if not quiet:
        print(f"Emulated portal at {portal.url} - Ctrl-C ends it")
        print(f"Private there: {PRIVATE_DATASET}, for the key {KEY}", flush=True)
    portal.serve()
