"""A portal with something to hide, somebody who may see it, and a clock that can be turned."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ods_pipeline.emulator import AccessQuirks, Emulator, Quirks
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.renewal import granted
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client

FIELDS = [{"name": "code", "type": "text"}, {"name": "n", "type": "int"}]
ROWS = [{"code": f"{number:05}", "n": number} for number in range(7)]
TOKEN = "/oauth2/token/"
START = 1_800_000_000.0


@dataclass
class Clock:
    """Seconds since 1970, as long as nobody turns it."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """The portal, its clock, and a folder of tokens."""

    emulator: Emulator
    folder: Path
    database: str = ""
    clock: Clock = field(default_factory=Clock)

    @property
    def address(self) -> Address:
        return Address.parse(self.emulator.url)

    @property
    def file(self) -> Path:
        return self.folder / "tokens" / "login.json"

    def oauth2(self, secret: str = "app-secret", **options: Any) -> OAuth2:
        return OAuth2("app", secret, self.database or self.file, clock=self.clock, **options)

    def log_in(self, client_id: str = "app", **options: Any) -> Grant:
        """Keep a login as if its person had just consented."""
        answer = self.emulator.issue("ada", client_id)
        nothing = Grant(self.address.base, client_id, "", "", self.clock(), **options)
        grant = granted(answer, nothing, self.clock())
        self.oauth2().store(self.address).save(grant)
        return grant

    def client(self, **options: Any) -> Client:
        """A conversation as the application, in another process as it were."""
        return Client(self.emulator.url, self.oauth2(), **options)

    def kept(self) -> Grant:
        grant = self.oauth2().store(self.address).load()
        assert grant is not None
        return grant

    def outcomes(self) -> list[str]:
        return [renewal.outcome for renewal in self.emulator.renewals]


@contextmanager
def a_world(folder: Path, **access: Any) -> Iterator[World]:
    """A portal of one public and one private dataset, with its quirks."""
    with Emulator(sample=False, quirks=Quirks(access=AccessQuirks(**access))) as emulator:
        emulator.publish("public-towns", FIELDS, ROWS)
        emulator.publish("private-towns", FIELDS, ROWS)
        emulator.hide("private-towns")
        emulator.add_user("ada", "lovelace")
        emulator.add_application("app", "app-secret", "http://127.0.0.1:8766/callback")
        emulator.add_key("key-of-ada", "ada")
        world = World(emulator, folder)
        emulator.now = world.clock
        yield world


def seen(client: Client) -> list[str]:
    """The datasets that the portal shows to a client."""
    found = client.json("/catalog/datasets", {"limit": 100})["results"]
    return sorted(dataset["dataset_id"] for dataset in found)


Making = Callable[..., World]
