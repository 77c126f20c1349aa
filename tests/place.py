"""A portal with something to hide, and the folder and streams of those who use it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.http.address import Address
from tests.dagster.world import FIELDS, RECORDS
from tests.person import answered
from tests.search import Secrets, told

# Characters that URLs and JSON write otherwise, and that base64 does not show.
KEY = "k3y/of+the=robot%&0123456789"
SECRET = "s3cret/of+the=application%&0123456789"
TOKENS = ("acc3ss/of+the=application%&0123456789", "r3fresh/of+the=application%&0123456789")
CALLBACK = "http://127.0.0.1:8766/callback"


@dataclass
class Place:
    """A portal with something to hide, and where all goes that its users leave behind."""

    portal: Emulator
    folder: Path
    streams: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    @property
    def address(self) -> Address:
        return Address.parse(self.portal.url)

    @property
    def tokens(self) -> Path:
        return self.folder / "data" / "tokens"

    @property
    def kept(self) -> Path:
        """The file of the login."""
        return self.tokens / "login.json"

    def oauth2(self, secret: str = SECRET, **options: Any) -> OAuth2:
        return OAuth2("the-app", secret, self.kept, **options)

    def log_in(self, **options: Any) -> None:
        """Consent as a person does."""
        consent = self.oauth2(**options).consent(self.address, CALLBACK)
        arrived = answered(consent.url)
        self.codes.append(arrived.split("code=")[1].split("&")[0])
        self.said += [repr(consent), repr(consent.login(arrived))]

    def fails(self, call: Callable[[], object]) -> None:
        """Call what cannot work, and keep all that its exception says."""
        with pytest.raises(OdsPipelineError) as caught:
            call()
        self.said.append(told(caught.value))

    @property
    def secrets(self) -> Secrets:
        """All that there was to be kept secret."""
        tokens = self.portal._tokens
        return Secrets([KEY, SECRET, *self.codes, *tokens.access, *tokens.refresh])

    def leaks(self, *more: str) -> list[str]:
        """Every secret that is somewhere where it should not be."""
        secrets = Secrets([*self.secrets.values, *more])
        self.said += self.streams.readouterr()
        aloud = [f"said: {secret}" for secret in secrets.within("\n".join(self.said))]
        kept = Secrets([KEY, SECRET, *self.codes]).below(self.folder)
        return [*aloud, *kept, *secrets.below(self.folder, self.tokens)]

    def urls(self) -> str:
        """The addresses that the portal was asked, as it got them."""
        return "\n".join(f"{r.path}?{r.query} {r.pairs}" for r in self.portal.requests)


@contextmanager
def settled(folder: Path, streams: pytest.CaptureFixture[str]) -> Iterator[Place]:
    """A place whose root logger writes everything into its folder, at DEBUG."""
    root, level = logging.getLogger(), logging.getLogger().level
    handler = logging.FileHandler(folder / "debug.log")
    handler.addFilter(_of_the_user)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with Emulator(sample=False) as portal:
        for name in ("trees", "staff"):
            portal.publish(name, fields=FIELDS, records=RECORDS)
        portal.hide("staff")
        portal.add_user("ada", "ada")
        portal.add_key(KEY, "ada")
        portal.add_application("the-app", SECRET, CALLBACK)
        yield Place(portal, folder, streams)
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


def _of_the_user(record: logging.LogRecord) -> bool:
    """Whether a line is not the portal's own: the emulator answers in threads of this process."""
    return "process_request_thread" not in (record.threadName or "")


@contextmanager
def echo(status: int, shape: str) -> Iterator[str]:
    """A portal that repeats in its errors all that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            heard = f"{self.path} {self.headers} {self.rfile.read(length).decode()}"
            fields = dict.fromkeys(("message", "error_code", "error_description"), heard)
            answer = json.dumps({**fields, "error": shape}) if shape != "html" else heard
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if shape == "html" else "application/json")
            self.send_header("Content-Length", str(len(answer.encode())))
            if status == 302:
                self.send_header("Location", f"http://localhost:9/{self.path}")
            self.end_headers()
            self.wfile.write(answer.encode())

        do_POST = do_GET  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
