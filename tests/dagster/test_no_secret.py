"""Dagster writes no secret down: not in snapshots, events, run configurations, ticks or logs.

The command line and Python are searched in `test_no_secret_anywhere`, beside this folder.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from ods_pipeline.dagster.credentials import OAuth2Resource
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.store import default_file
from ods_pipeline.portal.http.address import Address
from ods_pipeline.sync.configuration import LayerChoice
from tests.dagster.world import World, settings_for
from tests.place import KEY, SECRET, TOKENS, Place, echo, settled
from tests.servers import project

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture
def place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_SECRET", SECRET)
    with settled(tmp_path, capfd) as there:
        yield there


IN_DAGSTER: dict[str, dict[str, Any]] = {
    "key": {"api_key": dg.EnvVar("A_KEY")},
    "login": {
        "oauth2": OAuth2Resource(client_id="the-app", client_secret=dg.EnvVar("A_SECRET")),
    },
}


@contextmanager
def dagster(place: Place, url: str, kind: str) -> Iterator[World]:
    """The portal in Dagster, with an instance that writes everything down."""
    settings = settings_for(
        url,
        name="demo",
        data_dir=str(place.folder / "data"),
        features=LayerChoice(include=["*"]),
        **IN_DAGSTER[kind],
    )
    store = place.folder / "dagster"
    store.mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(store)) as instance:
        there = World(place.portal, settings, instance)
        yield there
        place.said.append(serialize_value(RepositorySnap.from_def(there.repository)))
        for resource in (there.defs.resources or {}).values():
            place.said += [repr(resource), str(getattr(resource, "_resolved_config_dict", ""))]


def used(place: Place, there: World, *, works: bool) -> None:
    """A tick, a run of assets, and the job."""
    try:
        tick = there.look()
        place.said += [repr(tick), str(tick.cursor)]
    except dg.Failure as failed:
        place.said += ["".join(traceback.format_exception(failed)), repr(vars(failed))]
    there.instance.add_dynamic_partitions(there.settings.partitions.name or "", ["staff"])
    runs = [
        there.run("records", "table", over="staff", raise_on_error=False),
        there.sync(mode="full"),
    ]
    assert [run.success for run in runs] == [works] * len(runs)
    for run in runs:
        place.said += [str(event) for event in run.all_events]
        stored = there.instance.get_run_by_id(run.run_id)
        assert stored
        place.said.append(json.dumps(dict(stored.run_config), default=str))


@pytest.mark.parametrize("kind", IN_DAGSTER)
def test_dagster_writes_down_no_secret(place: Place, kind: str) -> None:
    place.log_in()
    with dagster(place, place.portal.url, kind) as there:
        if kind == "login":
            resource = (there.defs.resources or {})["portal_demo"]
            place.kept.rename(resource.credentials().store(place.address).where)
        place.portal.expire_access_tokens()
        used(place, there, works=True)
        place.portal.revoke_key(KEY)
        place.portal.revoke_logins()
        used(place, there, works=False)
    assert (place.folder / "data" / "warehouse.duckdb").exists()
    assert len(list((place.folder / "data").rglob("staff.parquet"))) == 2
    assert list((place.folder / "dagster").rglob("*.db"))
    assert not place.leaks()
    assert not place.secrets.within(place.urls())


@pytest.mark.parametrize("kind", IN_DAGSTER)
def test_dagster_does_not_repeat_what_a_portal_repeats(place: Place, kind: str) -> None:
    with echo(401, "invalid_grant") as url, dagster(place, url, kind) as there:
        if kind == "login":
            resource = (there.defs.resources or {})["portal_demo"]
            login = Grant(url, "the-app", *TOKENS, obtained_at=0, expires_at=time.time() + 3600)
            resource.credentials().store(Address.parse(url)).save(login)
        used(place, there, works=False)
    assert not place.leaks(*TOKENS)


BLOCK = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  portal: {{url}}
  name: {{name}}
  oauth2:
    client_id: the-app
    client_secret: {env}
    client_auth: basic
  sensor:
    minimum_interval_seconds: 5
    running: true
"""


@pytest.mark.servers  # It needs none, but takes as long as those that do.
@pytest.mark.timeout(1800)
def test_a_running_dagster_with_its_daemons_writes_down_no_secret(place: Place) -> None:
    block = BLOCK.format(env="{{env: A_SECRET}}")
    place.log_in()
    place.kept.rename(default_file(place.folder / "data", place.address, "the-app"))
    with project.running(place.folder, place.portal.url, block) as running:
        until(lambda: list(place.folder.glob("data/lake/*/records/staff.parquet")))
        place.portal.expire_access_tokens()
        until(lambda: len(place.portal.renewals) > 0)
        place.portal.revoke_logins()
        until(lambda: "ods-pipeline login" in running.log.read_text())
    assert list(place.folder.glob("data/dagster/**/*.db"))
    assert not place.leaks()


def until(there: Callable[[], object]) -> None:
    """Wait until something is there."""
    end = time.monotonic() + 600
    while not there():
        assert time.monotonic() < end
        time.sleep(0.2)
