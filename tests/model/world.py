"""A portal, somebody who syncs it, and what must hold afterwards: what the model plays with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.options import Options, RunContext
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.run import Run
from ods_pipeline.sync.selection import Selection
from ods_pipeline.warehouse import open_warehouse
from tests.crashes.nursery import Nursery, Task
from tests.model.judge import Judge, Sight, damaged
from tests.soak.truth import Chronicle


class World:
    """One portal from its first dataset to its end."""

    def __init__(self, folder: Path) -> None:
        """An empty portal and an empty folder."""
        self.folder, self.state = folder / "data", folder / "state"
        self.folder.mkdir(parents=True)
        os.environ["XDG_STATE_HOME"] = str(self.state)
        self.portal = Emulator(sample=False, quota=10**9).start()
        self.chronicle = Chronicle(self.portal)
        self.root = Lake.of(self.folder, Portal(self.portal.url).slug).root
        self._closed = False
        self.log: list[str] = []

    def close(self) -> None:
        """End it."""
        self.portal.close()
        shutil.rmtree(self.folder.parent)

    @property
    def names(self) -> list[str]:
        """Datasets that the portal has."""
        return sorted(dataset.dataset_id for dataset in self.portal.state.datasets())

    def fail(self, match: str, fault: Any, times: int | None) -> None:
        """Let something go wrong."""
        self._closed = self._closed or fault.kind == "quota"
        self.portal.fail(match, fault, times)

    def heal(self) -> None:
        """Let all go right again, and a new day begin for whatever a 429 has closed."""
        self.portal.faults.clear()
        shutil.rmtree(self.state, ignore_errors=True)
        self._closed = False

    @property
    def _calm(self) -> bool:
        return not self.portal.faults._pending and not self._closed

    def sync(self, *names: str, **options: Any) -> list[str]:
        """Run as the command line does; what is wrong afterwards."""
        calm, page = self._calm, len(self.chronicle.pages)
        before = Sight.of(self.folder, self.root)
        portal = Portal(self.portal.url)
        portal.client._unit, portal.client._patience = 0.002, 0
        lake = Lake(self.root)
        try:
            outcomes = Run(RunContext(portal, lake, Options(**options)), self._warehouse)(
                Selection(names, typed=bool(names))
            )
        except OdsPipelineError as error:
            self.log.append(f"stopped: {error}")
            return self._untouched(before, f"stopped: {error}", calm=calm and not names)
        self.log += [f"{item.name}: {item.action} ({item.reason})" for item in outcomes]
        judge = Judge(
            self.chronicle,
            self.chronicle.since(page),
            before,
            Sight.of(self.folder, self.root),
            outcomes,
            trusts=options["rules"].trust_days > 0,
            calm=calm,
            whole=not names,
            kinds=("records", "features") if options.get("features") else ("records",),
        )
        return [*judge.wrongs(), *damaged(self.folder, self.root, swept=True)]

    def settle(self) -> list[str]:
        """On a fine day, believing nothing and accepting everything, all comes right."""
        self.heal()
        # What nobody was shown cannot be accepted.
        rules = Rules(trust_days=0)
        wrongs = [*self.sync(rules=rules), *self.sync(accept=True, rules=rules)]
        lake = Sight.of(self.folder, self.root).lake
        names = [name.lower() for name in {*self.names, *(name for _, name in lake)}]
        for dataset in self.portal.state.datasets():
            name, found = dataset.dataset_id, lake.get(("records", dataset.dataset_id))
            shown = dataset.data_visible and self.chronicle.rows(dataset)
            there = found is not None and self.chronicle.is_held(found, dataset)
            if shown and not there and names.count(name.lower()) == 1:
                wrongs.append(f"{name} is not landed in the end")
        return wrongs

    def _warehouse(self) -> Any:
        return closing(open_warehouse(f"duckdb:///{self.folder / 'warehouse.duckdb'}"))

    def _untouched(self, before: Sight, told: str, *, calm: bool) -> list[str]:
        after = Sight.of(self.folder, self.root)
        found = list(damaged(self.folder, self.root, swept=False))
        if (after.lake, after.tables) != (before.lake, before.tables):
            found.append(f"{told}, and something was touched")
        # A catalog that lost most of its datasets is not believed, whoever is to blame.
        if calm and "lists" not in told:
            found.append(f"{told}, without a cause")
        return found

    def kill(self, nursery: Nursery, touch: int) -> list[str]:
        """Run the command line, and kill it before it touches a file for the so-manieth time."""
        page, before = len(self.chronicle.pages), Sight.of(self.folder, self.root)
        places = {"ODS_PORTAL": self.portal.url, "ODS_DATA_DIR": str(self.folder)}
        places |= {"ODS_WAREHOUSE": "", "XDG_STATE_HOME": str(self.state)}
        done = nursery.run(Task(("sync",), places, touch=touch))
        self.log.append(f"killed: {done.killed}")
        truths, after = self.chronicle.since(page), Sight.of(self.folder, self.root)
        return [
            *self._half_done(before, after, truths),
            *damaged(self.folder, self.root, swept=False),
        ]

    def _half_done(self, before: Sight, after: Sight, truths: Any) -> Iterator[str]:
        for place, found in after.lake.items():
            new = any(
                old and self.chronicle.is_held(found, old) for old in truths.get(place[1], ())
            )
            if not new and found not in before.like(place, found.uid):
                yield f"killed: {place} is neither what it was nor what the portal holds"
        for name, table in after.tables.items():
            rows = [found.rows for found in (*before.tables.values(), *after.lake.values())]
            if table.rows not in [*rows, *[found.rows for found in before.lake.values()]]:
                yield f"killed: the table {name} holds rows that nobody knows"
