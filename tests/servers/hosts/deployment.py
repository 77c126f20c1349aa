"""The deployment of the page on many hosts: one that decides, and several that work.

What is shipped is started as it is; only addresses, ports and times are those of a test.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml
from celery import Celery

from tests.celery_profile import Unit, example, settings
from tests.ports import free_port
from tests.servers import stores
from tests.servers.hosts import redis
from tests.servers.hosts.host import Host
from tests.servers.postgres import server as postgres
from tests.servers.seaweed import server as seaweed

PATIENCE = 900.0
BUCKET = "lake"
_BIN, _DAGSTER = "/srv/ods-pipeline/venv/bin", "/srv/ods-pipeline/dagster"
_NAME = "city"
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "portals"}
_ADD = """addDynamicPartition(
  repositorySelector: $repository, partitionsDefName: "city/datasets", partitionKey: "{}"
) {{ __typename }}"""
_WATCH = """startSensor(sensorSelector: {{
  repositoryName: "__repository__", repositoryLocationName: "portals", sensorName: "{}_{}"
}}) {{ __typename }}"""
_ASKED = "asked.graphql"
_DEFS = "srv/ods-pipeline/project/portals/defs/first/defs.yaml"
_RUNS = """
SELECT r.run_id, r.status, coalesce(r.start_time, 0), coalesce(r.end_time, 0),
    coalesce((SELECT json_object_agg(t.key, t.value) FROM kept.run_tags t
        WHERE t.run_id = r.run_id), '{}')
FROM kept.runs r ORDER BY r.id"""


@dataclass(frozen=True)
class Servers:
    """What all hosts reach.

    Attributes:
        postgres: The server of Dagster's runs, of the state and of the warehouse.
        seaweed: The store.
        redis: Its address.
        warehouse: The warehouse's URL.
        state: The state's URL.
    """

    postgres: postgres.Server
    seaweed: seaweed.Seaweed
    redis: str
    warehouse: str
    state: str


@contextmanager
def servers() -> Iterator[Servers]:
    """All of them, empty."""
    with (
        postgres.running() as database,
        stores.running(seaweed.Seaweed) as store,
        redis.running() as broker,
    ):
        store.make_bucket(BUCKET)
        database.database("dagster")
        yield Servers(
            database, store, broker, database.warehouse("warehouse"), database.database("state")
        )


class Launched(NamedTuple):
    """A run of Dagster's.

    Attributes:
        number: Its identifier.
        status: Such as STARTED.
        began: When, in seconds since 1970; 0 for not yet.
        ended: The same of its end.
        tags: Its tags.
    """

    number: str
    status: str
    began: float
    ended: float
    tags: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in {"SUCCESS", "FAILURE", "CANCELED"}

    def has(self, partition: str) -> bool:
        """Whether a partition is among those it works on."""
        told = self.tags.get
        first = told("dagster/asset_partition_range_start") or told("dagster/partition", "~")
        last = told("dagster/asset_partition_range_end") or told("dagster/partition", "")
        return first <= partition <= last


class Deployment:
    """Hosts that share servers, and keep one portal.

    Attributes:
        servers: What they share.
        workers: The hosts that work, by their names.
    """

    def __init__(
        self,
        servers: Servers,
        portal: str,
        folder: Path,
        *,
        hosts: int,
        monitoring: Mapping[str, int],
        watching: bool,
        per_run: int = 4,
        dagster: int = 0,
    ) -> None:
        """Set the hosts up; nothing is started yet.

        Args:
            servers: What they share.
            portal: Address of the portal.
            folder: Where their disks are.
            hosts: How many work.
            monitoring: Times in place of the shipped ones.
            watching: Whether sensors begin runs, which takes a minute each time.
            per_run: Datasets that share a run.
            dagster: Where Dagster finds its database, if it is not the server's own port.
        """
        self.servers = servers
        self._port, self._dagster = free_port(), dagster or servers.postgres.port
        self._files = {
            "dagster.env": {**example("dagster.env"), **self._of_dagster()},
            "portals.env": {**example("portals.env"), **self._of_portals(portal)},
        }
        self._attributes: dict[str, Any] = {
            "name": _NAME,
            "datasets_per_run": per_run,
            "sensor": {"minimum_interval_seconds": 5, "running": watching},
        }
        self._told = settings()
        self._told["run_monitoring"].update(monitoring)
        self.workers = {
            name: self._host(name, folder) for name in (f"host-{n + 1}" for n in range(hosts))
        }
        self._control = self._host("control", folder)

    def start(self) -> None:
        """Start everything, in the order of the page."""
        self._start(self._control, "code")
        for host in self.workers.values():
            self._start(host, "worker")
        self.until(self._serves, "the code server")
        self._start(self._control, "daemon")

    def revive(self, name: str) -> None:
        """Start a host that died."""
        self._start(self.workers[name], "worker")

    def stop(self) -> None:
        """End everything."""
        for host in self.hosts():
            host.kill()

    def hosts(self) -> list[Host]:
        """All of them."""
        return [self._control, *self.workers.values()]

    def runs(self) -> list[Launched]:
        """All runs of Dagster, in the order in which they were made."""
        found = self.servers.postgres.ask(_RUNS, "dagster")
        return [
            Launched(number, status, float(began), float(ended), json.loads(tags))
            for number, status, began, ended, tags in (
                line.split("|", 4) for line in found.splitlines()
            )
        ]

    def host_of(self, run: str) -> str:
        """The host on which a run is under way; empty for none."""
        celery = Celery(broker=self._files["dagster.env"]["DAGSTER_CELERY_BROKER"])
        active: dict[str, Any] = celery.control.inspect(timeout=2).active() or {}
        for node, tasks in active.items():
            if any(run in str(task) for task in tasks):
                return str(node.partition("@")[2])
        return ""

    def materialize(self, datasets: Sequence[str], per_run: int) -> None:
        """Begin runs of so many datasets each, as somebody does on Dagster's pages."""
        variables: dict[str, Any] = {"repository": _REPOSITORY}
        asked = [f"p{at}: {_ADD.format(name)}" for at, name in enumerate(datasets)]
        for at in range(0, len(datasets), per_run):
            some = datasets[at : at + per_run]
            asked.append(f"r{at}: launchRun(executionParams: $r{at}) {{ __typename }}")
            variables[f"r{at}"] = _run_over(some[0], some[-1])
        named = ", ".join(f"$r{at}: ExecutionParams!" for at in range(0, len(datasets), per_run))
        document = f"mutation($repository: RepositorySelector!, {named}) {{ {' '.join(asked)} }}"
        kinds = self._asked(document, variables)
        assert kinds == {"AddDynamicPartitionSuccess", "LaunchRunSuccess"}

    def watch(self) -> None:
        """Switch the sensors on, as somebody does on Dagster's pages."""
        asked = [f"{name}: {_WATCH.format(_NAME, name)}" for name in ("watch", "automation")]
        document = f"mutation {{ {' '.join(asked)} }}"
        assert self._asked(document, {}) == {"Sensor"}

    def _asked(self, document: str, variables: Mapping[str, Any]) -> set[str]:
        """The kinds of what Dagster answers."""
        # One for thousands of datasets is too long for a command.
        self._control.write(f"srv/ods-pipeline/project/{_ASKED}", document)
        done = self._control.typed(
            [
                *(f"{_BIN}/dagster-graphql", "--workspace", f"{_DAGSTER}/workspace.yaml"),
                *("--file", _ASKED, "--variables", json.dumps(variables)),
            ],
            {**self._files["dagster.env"], **Unit("daemon").variables()},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return {one["__typename"] for one in json.loads(done.stdout)["data"].values()}

    def typed(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """What a command of ours answers on a host."""
        variables = {**self._files["portals.env"], "XDG_CACHE_HOME": "/var/cache"}
        return self.workers[host].typed([f"{_BIN}/ods-pipeline", *words], variables)

    def until(
        self, state: Callable[[], Any], what: str, seconds: float = PATIENCE, pause: float = 0.3
    ) -> Any:
        """Wait for a state, and return what it is."""
        end = time.monotonic() + seconds
        while not (found := state()):
            assert time.monotonic() < end, f"{what}: {self._said()}"
            time.sleep(pause)
        return found

    def _said(self) -> str:
        told = [(self._control, unit) for unit in ("code", "daemon")]
        told += [(host, "worker") for host in self.workers.values()]
        texts = [f"== {host.name} {unit}\n{host.printed(unit)[-3000:]}" for host, unit in told]
        return "\n".join([*texts, *map(str, self.runs())])

    def _start(self, host: Host, unit: str) -> None:
        host.start(Unit(unit), self._files, self._port)

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _host(self, name: str, folder: Path) -> Host:
        host = Host(name, folder)
        host.write("srv/ods-pipeline/dagster/dagster.yaml", yaml.safe_dump(self._told))
        workspace = (host.root / "srv/ods-pipeline/dagster/workspace.yaml").read_text()
        host.write(
            "srv/ods-pipeline/dagster/workspace.yaml", workspace.replace("4000", str(self._port))
        )
        defs = yaml.safe_load((host.root / _DEFS).read_text())
        defs["attributes"] |= self._attributes
        host.write(_DEFS, yaml.safe_dump(defs))
        return host

    def _of_dagster(self) -> dict[str, str]:
        return {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self._dagster),
            "DAGSTER_POSTGRES_USER": postgres.USER,
            "DAGSTER_POSTGRES_PASSWORD": unquote(postgres.QUOTED),
            "DAGSTER_POSTGRES_DB": "dagster",
            "DAGSTER_CELERY_BROKER": f"{self.servers.redis}/0",
            "DAGSTER_CELERY_BACKEND": f"{self.servers.redis}/1",
        }

    def _of_portals(self, portal: str) -> dict[str, str]:
        return {
            "ODS_PORTAL": portal,
            "ODS_DATA_DIR": f"s3://{BUCKET}/portals",
            "ODS_WAREHOUSE": self.servers.warehouse,
            "ODS_STATE": self.servers.state,
            "AWS_ACCESS_KEY_ID": seaweed.KEY,
            "AWS_SECRET_ACCESS_KEY": seaweed.SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.servers.seaweed.s3}",
        }


def _run_over(first: str, last: str) -> dict[str, Any]:
    """A run that lands and loads all datasets from one to another, as GraphQL has it."""
    tags = {"start": first, "end": last}
    return {
        "mode": "default",
        "selector": {
            **_REPOSITORY,
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [_NAME, name]} for name in ("records", "table")],
        },
        "executionMetadata": {
            "tags": [
                {"key": f"dagster/asset_partition_range_{end}", "value": name}
                for end, name in tags.items()
            ]
        },
    }
