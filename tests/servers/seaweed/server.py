"""SeaweedFS, a real S3 store with a REST catalog of Iceberg, on free ports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.ports import free_port

KEY, SECRET = "an-access-key", "a-secret-of-the-store"
_PROGRAM = Path(sys.executable).with_name("weed")
_READY = 300.0


class Seaweed:
    """A running server.

    Attributes:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3, self.catalog = free_port(), free_port()
        identity = {
            "name": "owner",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()

    def start(self) -> None:
        master, volume, filer = free_port(), free_port(), free_port()
        self._grpc, self._master = free_port(), master
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_PROGRAM, "server", "-dir", self.folder / "data", "-ip", "127.0.0.1"),
                    *(f"-master.port={master}", f"-master.port.grpc={self._grpc}"),
                    *(f"-volume.port={volume}", f"-volume.port.grpc={free_port()}"),
                    *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={free_port()}"),
                    *("-s3", f"-s3.port={self.s3}", f"-s3.port.grpc={free_port()}"),
                    *(f"-s3.port.iceberg={self.catalog}", "-s3.port.lance=0"),
                    *("-s3.config", self.folder / "s3.json"),
                    *("-master.volumeSizeLimitMB=64", "-volume.max=5000"),
                ],
                stdout=log,
                stderr=log,
            )
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + _READY
        while time.monotonic() < end and self._process.poll() is None:
            try:
                for port in (self.s3, self.catalog):
                    requests.get(f"http://127.0.0.1:{port}/", timeout=5)
                return
            except requests.RequestException:
                time.sleep(0.2)
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-3000:])

    def catalog_in(self, bucket: str) -> dict[str, str]:
        """An empty catalog, as pyiceberg's configuration has it, made by the program's shell."""
        self._shell(f"s3tables.bucket -create -name {bucket} -account admin")
        return self._properties(bucket)

    def make_bucket(self, name: str) -> None:
        """An empty bucket, made by the program's shell."""
        self._shell(f"s3.bucket.create -name {name}")

    def _shell(self, command: str) -> None:
        place = f"-master=127.0.0.1:{self._master}.{self._grpc}"
        made = subprocess.run(
            [_PROGRAM, "shell", place],
            input=f"{command}\nexit\n",
            capture_output=True,
            text=True,
            timeout=_READY,
            check=False,
        )
        if made.returncode or "rror" in made.stdout:
            raise RuntimeError(made.stdout + made.stderr)

    def stop(self) -> None:
        # It has nothing to keep, and would take its time.
        self._process.kill()
        self._process.wait(30)

    def _properties(self, bucket: str) -> dict[str, str]:
        return {
            "type": "rest",
            "uri": f"http://127.0.0.1:{self.catalog}",
            # Without it, pyiceberg warns that it has to guess.
            "oauth2-server-uri": f"http://127.0.0.1:{self.catalog}/v1/oauth/tokens",
            "credential": f"{KEY}:{SECRET}",
            "warehouse": f"s3://{bucket}",
            "s3.endpoint": f"http://127.0.0.1:{self.s3}",
            "s3.access-key-id": KEY,
            "s3.secret-access-key": SECRET,
            "s3.region": "us-east-1",
        }
