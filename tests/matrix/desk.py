"""A portal whose first version is landed, put back to that for every cell of the fault matrix."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ods_pipeline.cli import main
from ods_pipeline.emulator import Emulator, Quirks, WfsQuirks
from tests.matrix.towns import FIELDS, Rows, landed, loaded, published, records

KEY = "k3y/of+the=matrix%&0123456789"
ROADS = [{"name": "code", "type": "text"}]


@dataclass(frozen=True)
class Lane:
    """A way by which rows come: how it is typed, and which request has the rows.

    Attributes:
        page: Features that the portal gives at once, if it gives pages.
    """

    name: str
    words: tuple[str, ...]
    match: str
    kind: str = "records"
    page: int | None = None


MODERN = ("--features", "--wfs-version", "2.0.0")
FEATURES = r"request=GetFeature(?!.*resultType=hits)"
LANES = {
    lane.name: lane
    for lane in (
        Lane("parquet", (), "/towns/exports/parquet"),
        Lane("csv", ("--format", "csv"), "/towns/exports/csv"),
        Lane("wfs1", ("--features",), FEATURES, "features"),
        Lane("wfs2", MODERN, FEATURES, "features"),
        Lane("pages", MODERN, FEATURES + ".*startIndex=", "features", page=5),
    )
}


@dataclass(frozen=True)
class Ended:
    """How a run of the command line ended.

    Attributes:
        status: Its exit status.
        action: What became of the towns in the lane that was looked at; empty if the run as a
            whole came to nothing.
        reason: Why.
        said: All that it printed.
    """

    status: int
    action: str
    reason: str
    said: str = field(repr=False)

    @property
    def good(self) -> bool:
        """Whether the user is told that all is well."""
        return self.status == 0

    @property
    def kept(self) -> bool:
        """Whether the user is told that the rows of before stay."""
        return self.action in {"skipped", "held"}


@dataclass
class Desk:
    """A portal, a user's folder, and the command line in this process.

    Attributes:
        warehouse: A connection of the user's own to the file that is loaded into.
        truths: What the portal held, from the moment when a run began.
    """

    emulator: Emulator
    folder: Path
    warehouse: duckdb.DuckDBPyConnection
    streams: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    truths: list[Rows] = field(default_factory=list)

    def publish(self, version: int, **metas: Any) -> None:
        """Publish the towns of a version."""
        self.emulator.publish("towns", FIELDS, records(version), metas)
        self.truths.append(published(records(version)))

    def sync(self, lane: Lane, *more: str) -> Ended:
        """Type `ods-pipeline sync`."""
        given = ["--portal", self.emulator.url, "--data-dir", str(self.folder), "--api-key", KEY]
        words = ["ods-pipeline", *given, "sync", "--json", *lane.words, *more]
        self.patch.setattr(sys, "argv", words)
        self.streams.readouterr()
        status = main._run()
        said = self.streams.readouterr()
        entry = _entry(said.out, lane.kind)
        action, reason = entry.get("action", ""), entry.get("reason", "")
        return Ended(status, action, reason, said.out + said.err)

    @property
    def shown(self) -> bool:
        """Whether the portal has the towns, and shows some."""
        towns = self.emulator.state.find("towns")
        if towns is None or not towns.data_visible:
            return False
        return self.emulator.state.store.count(towns.relation) > 0

    def landed(self, lane: Lane) -> tuple[Rows | None, Rows | None]:
        """What lake and warehouse hold."""
        return landed(self.folder, lane.kind), loaded(self.warehouse, lane.kind)


def _entry(told: str, kind: str) -> Mapping[str, Any]:
    summary = json.loads(told)
    if "error" in summary:
        return {"reason": summary["error"]}
    found = [item for item in summary["datasets"] if item["dataset_id"] == "towns"]
    kinds = [item for item in found if item["kind"] == kind]
    return kinds[0] if kinds else {}


@dataclass
class Portals:
    """Portals on which the first version is landed already, by lane; kept for all cells."""

    folder: Path
    begun: dict[str, tuple[Emulator, Path, Sequence[Any]]] = field(default_factory=dict)

    @contextmanager
    def desk(self, lane: Lane, folder: Path, streams: pytest.CaptureFixture[str]) -> Iterator[Desk]:
        """A desk with the portal as it was when its first version had landed."""
        with pytest.MonkeyPatch.context() as patch:
            if lane.name not in self.begun:
                self._begin(lane, streams, patch)
            emulator, landed, datasets = self.begun[lane.name]
            emulator.faults.clear()
            for dataset in emulator.state.datasets():
                emulator.state.remove(dataset.dataset_id)
            for dataset in datasets:
                emulator.state.put(dataset)
            shutil.copytree(landed, folder)
            with _kept_open(folder) as warehouse:
                # Nobody opens the file once this is over.
                warehouse.execute("PRAGMA disable_checkpoint_on_shutdown")
                yield Desk(emulator, folder, warehouse, streams, patch)

    def _begin(
        self, lane: Lane, streams: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        emulator, folder = _portal(lane), self.folder / lane.name
        folder.mkdir()
        with _kept_open(folder) as warehouse:
            desk = Desk(emulator, folder, warehouse, streams, patch)
            desk.publish(1)
            ended = desk.sync(lane)
            assert (ended.status, ended.action) == (0, "landed"), ended.said
            assert desk.landed(lane) == (desk.truths[0], desk.truths[0])
        self.begun[lane.name] = (emulator, folder, emulator.state.datasets())

    def close(self) -> None:
        """Shut them all."""
        for emulator, _, _ in self.begun.values():
            emulator.close()


def _kept_open(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the warehouse of a folder: with one open, DuckDB opens others at once."""
    return duckdb.connect(folder / "warehouse.duckdb")


def _portal(lane: Lane) -> Emulator:
    # Lists that Parquet joins are read from CSV, and CSV has a lane of its own.
    quirks = Quirks(multivalued="list", wfs=WfsQuirks(page=lane.page))
    emulator = Emulator(sample=False, quota=10**9, quirks=quirks).start()
    emulator.add_user("ada", "ada")
    emulator.add_key(KEY, "ada")
    emulator.publish("roads", ROADS, [{"code": "A1"}, {"code": "A2"}])
    return emulator
