"""A portal, the folder of somebody whose runs are cut short, and what must hold all the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.verify import audited
from ods_pipeline.portal.portal import Portal
from tests.crashes.nursery import Done, Nursery, Task
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, rows

Rows = list[dict[str, Any]]
OF_THE_WAREHOUSE = {"_loads", "_catalog", "_held"}
OF_A_RUN_UNDER_WAY = (".wal", ".tmp", ".lock")


class Scene:
    """A portal of five datasets, and a data folder."""

    def __init__(self, emulator: Emulator, nursery: Nursery, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self._nursery = nursery
        self._outside = folder
        self._published: dict[str, Rows] = {}
        for number, name in enumerate(("one", "two", "three", "four"), 1):
            self.publish(name, number * 5)
        emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "towns"})
        self._published["towns"] = TOWNS

    @property
    def lake(self) -> Lake:
        return Lake.of(self._outside, Portal(self.emulator.url).slug)

    def on_a_disk_of(self, size: int) -> None:
        """Put the data folder on a disk of its own, or give that another size."""
        self._nursery.mount(self.folder, size)
        self._outside = self._nursery.root / self.folder.relative_to("/")

    def publish(self, name: str, count: int) -> None:
        self._published[name] = rows(count)
        self.emulator.publish(name, FIELDS, self._published[name], {"title": name})

    def sync(self, **how: Any) -> Done:
        """Run, and see that nothing is fetched that was landed already."""
        landed = self.up_to_date()
        self.emulator.requests.clear()
        places = {"ODS_PORTAL": self.emulator.url, "ODS_DATA_DIR": str(self.folder)}
        words = ("sync", "--max-shrink", "100")  # Rows are published at random here.
        done = self._nursery.run(Task(words, {**places, "ODS_WAREHOUSE": ""}, **how))
        assert not landed & self.exported()
        assert "Traceback" not in done.said, done.said
        self.require_whole_files()
        return done

    def exported(self) -> set[str]:
        paths = [request.path for request in self.emulator.requests]
        return {
            path.split("/")[-3] for path in paths if "/datasets/" in path and "/exports/" in path
        }

    def up_to_date(self) -> set[str]:
        """Datasets of which the portal's own rows are landed."""
        names = self.lake.receipts("records")
        return {name for name in names if self._landed(name) == self._published[name]}

    def _landed(self, name: str) -> Rows:
        table = pq.read_table(self.lake.partition("records", name))
        found: Rows = table.to_pylist()
        return _plain(found)

    def require_whole_files(self) -> None:
        """What stands under a final name is as it was published, at every instant."""
        problems = [item.problem for item in audited(self._outside / "lake")]
        assert not any(problems), problems

    def require_settled(self) -> None:
        """Portal, lake and warehouse are the same, and nothing else lies about."""
        wanted = {name: _plain(found) for name, found in self._published.items()}
        assert {name: self._landed(name) for name in self.lake.receipts("records")} == wanted
        assert self._loaded() == {**wanted, "_catalog": sorted(wanted)}
        assert not [*self.lake.root.glob(".incoming/*")]
        names = [path.name for path in self._outside.rglob("*")]
        assert not [name for name in names if name.endswith(OF_A_RUN_UNDER_WAY) or "~" in name]

    def _loaded(self) -> dict[str, Any]:
        schema = self.lake.root.name.replace(".", "_")
        with tempfile.TemporaryDirectory() as folder:
            # DuckDB would look for what lies on another process's disk on this one's.
            copy = shutil.copy(self._outside / "warehouse.duckdb", folder)
            with duckdb.connect(copy, read_only=True) as warehouse:
                return _read(warehouse, schema)


def _read(warehouse: duckdb.DuckDBPyConnection, schema: str) -> dict[str, Any]:
    def read(table: str, *columns: str) -> Rows:
        chosen = ", ".join(columns)
        found = warehouse.execute(f'SELECT {chosen} FROM "{schema}"."{table}"').fetchall()
        return [dict(zip(columns, row, strict=True)) for row in found]

    tables = warehouse.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    names = {name for (name,) in tables} - OF_THE_WAREHOUSE
    catalog = sorted(row["dataset_id"] for row in read("_catalog", "dataset_id"))
    return {name: _plain(read(name, "code", "n")) for name in names} | {"_catalog": catalog}


def _plain(found: Rows) -> Rows:
    return sorted(({"code": row["code"], "n": row["n"]} for row in found), key=lambda row: row["n"])


@contextmanager
def scene(nursery: Nursery, folder: Path) -> Iterator[Scene]:
    with Emulator(sample=False) as emulator:
        yield Scene(emulator, nursery, folder)
