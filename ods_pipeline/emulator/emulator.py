"""A portal in a box: the verbs with an HTTP front, for tests, demo and the command line."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

from ods_pipeline.emulator import control_api, sample_portal
from ods_pipeline.emulator.access import sample as private
from ods_pipeline.emulator.access.visible_catalogs import Views
from ods_pipeline.emulator.admin_verbs import AccessVerbs
from ods_pipeline.emulator.datasets.state import Quirks
from ods_pipeline.emulator.http.server import Front, Recorded, Server


class Emulator(AccessVerbs):
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
            quota: Requests allowed a day to all who do not say who they are.
            quirks: Where real portals differ, or are not known.
        """
        super().__init__(quirks or Quirks(), quota)
        if sample:
            _load(self)
        views = Views(self.state)
        front = Front(self._gate, self._doors, views, self.faults, self._control)
        try:
            self._server = Server(host, port, front)
        except OSError:
            self.state.store.close()
            raise

    @property
    def url(self) -> str:
        """The address of the portal."""
        return f"http://{self._server.address}"

    @property
    def requests(self) -> list[Recorded]:
        """The requests of the API so far; clear the list to begin anew."""
        return self._server.front.requests

    def _control(self, verb: str, dataset_id: str, arguments: dict[str, Any]) -> Any:
        return control_api.call(self, verb, dataset_id, arguments)

    def start(self) -> Emulator:
        """Serve in the background."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving and forget everything."""
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
        """Stop."""
        self.close()


def _load(portal: Emulator) -> None:
    sample_portal.load(portal.state)
    private.load(portal)


def serve(port: int = 8765, *, host: str = "127.0.0.1", quiet: bool = False) -> None:
    """Serve the sample portal until interrupted."""
    portal = Emulator(port=port, host=host)
    if not quiet:
        print(f"Emulated portal at {portal.url} - Ctrl-C ends it")
        print(f"Private there: {private.HIDDEN}, for the key {private.KEY}", flush=True)
    portal.serve()
