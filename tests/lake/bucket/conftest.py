"""A bucket in each real store, seen through a relay that can spoil what comes from it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.lake import copies, object_store
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows
from tests.lake.bucket.clouds import BUCKET, Cloud, of_azure, of_s3
from tests.servers.azurite.server import Azurite
from tests.servers.relay import Relay, relayed
from tests.servers.seaweed.server import Seaweed
from tests.servers.stores import running

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with running(Azurite) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[Cloud]:
    with running(Seaweed) as server:
        yield of_s3(server)


@pytest.fixture(scope="session")
def az(azurite: Azurite) -> Cloud:
    return of_azure(azurite)


@pytest.fixture(scope="session", params=["s3", "az"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Every test of a bucket is one of each store."""
    found: Cloud = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def relay(cloud: Cloud) -> Iterator[Relay]:
    with relayed(cloud.port) as found:
        yield found


@pytest.fixture
def settings(cloud: Cloud, relay: Relay, tmp_path: Path) -> dict[str, str]:
    """The environment of a user of the bucket."""
    return {
        **cloud.settings(relay.url),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "ODS_DATA_DIR": f"{cloud.scheme}://{BUCKET}/team-{next(_NUMBERS)}",
        "ODS_WAREHOUSE": f"duckdb:///{tmp_path / 'warehouse.duckdb'}",
    }


@pytest.fixture
def address(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty data folder, with all that opens it in the environment."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield settings["ODS_DATA_DIR"]
    _forget()


def _forget() -> None:
    object_store.store.cache_clear()
    copies.folder.cache_clear()


@pytest.fixture
def desk(address: str, tmp_path: Path) -> Iterator[Desk]:
    """A portal, and a user who syncs it into the bucket."""
    with Emulator(sample=False) as emulator:
        emulator.publish("one", fields=FIELDS, records=rows(20))
        emulator.publish("two", fields=FIELDS, records=rows(20))
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path, address)
