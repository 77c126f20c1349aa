"""A portal, and the folder of a user who lands and syncs it: what the tests of whole runs share."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from ods_pipeline.dataset import Dataset
from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake, PartitionKind
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest, LandingResult
from ods_pipeline.sync.options import Options, RunContext
from ods_pipeline.sync.outcome import Outcome
from ods_pipeline.sync.run import Run
from ods_pipeline.sync.selection import Selection
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.names import AS_IS, TableNames

FIELDS = [{"name": "code", "type": "text"}, {"name": "n", "type": "int"}]
TOWN_FIELDS = [
    {"name": "code", "type": "text", "label": "Code", "description": "INSEE"},
    {"name": "n", "type": "int"},
    {"name": "where", "type": "geo_point_2d"},
]
TOWNS = [
    {"code": f"{number:05}", "n": number, "where": {"lon": number / 10, "lat": 48}}
    for number in range(20)
]


def rows(count: int) -> list[dict[str, Any]]:
    return [{"code": f"{number:05}", "n": number} for number in range(count)]


class Desk:
    """A portal, and the folder of a user who syncs it."""

    def __init__(self, emulator: Emulator, folder: Path, bucket: str = "") -> None:
        self.emulator = emulator
        self.folder = folder
        self.lake = Lake.of(data_folder(bucket or str(folder)), Portal(emulator.url).slug)

    def sync(
        self, *names: str, selection: Selection | None = None, **options: Any
    ) -> dict[str, Outcome]:
        """Run as the command line does; the requests of this run alone are kept."""
        self.emulator.requests.clear()
        portal = Portal(self.emulator.url)
        context = RunContext(portal, self.lake, Options(**options))
        typed = Selection(names, typed=bool(names))
        opened = partial(self.warehouse, context.options.names)
        outcomes = Run(context, opened)(selection or typed)
        assert portal.client.requests_made == len(self.emulator.requests)
        return {outcome.name: outcome for outcome in outcomes}

    def warehouse(self, names: TableNames = AS_IS) -> Warehouse:
        return open_warehouse(f"duckdb:///{self.folder / 'warehouse.duckdb'}", names=names)

    def actions(self, *names: str, **options: Any) -> dict[str, str]:
        return {key: item.action for key, item in self.sync(*names, **options).items()}

    @property
    def exported(self) -> list[str]:
        """Datasets whose export was asked for."""
        paths = [r.path for r in self.emulator.requests]
        return sorted(path.split("/")[-3] for path in paths if path.count("/exports/") and
                      "/datasets/" in path)  # fmt: skip

    def files(self) -> Mapping[str, bytes]:
        found = sorted(self.lake.root.glob("records/*.parquet"))
        return {path.stem: path.read_bytes() for path in found}

    def loaded(self, table: str) -> int:
        with duckdb.connect(self.folder / "warehouse.duckdb", read_only=True) as connection:
            schema = self.lake.root.name.replace(".", "_")
            (found,) = connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchall()
        return int(found[0])

    def comment(self, table: str) -> str:
        with duckdb.connect(self.folder / "warehouse.duckdb", read_only=True) as connection:
            query = "SELECT comment FROM duckdb_tables() WHERE table_name = ?"
            (found,) = connection.execute(query, [table]).fetchall()
        return str(found[0])


class Bench:
    """A portal of one dataset, and a lake for it."""

    def __init__(self, emulator: Emulator, folder: Path, kind: PartitionKind = "records") -> None:
        self.emulator = emulator
        self.portal = Portal(emulator.url)
        self.lake = Lake.of(folder, self.portal.slug)
        self.file = self.lake.partition(kind, "towns")

    def dataset(self) -> Dataset:
        return self.portal.dataset("towns")

    def land(self, **options: Any) -> LandingResult:
        return land(self.portal, LandingRequest(self.dataset(), **options), self.lake)

    def rows(self) -> list[dict[str, Any]]:
        return pq.read_table(self.file, columns=["code", "n"]).to_pylist()

    def untouched(self) -> None:
        """Nothing was published, and nothing unfinished was left."""
        assert not self.file.exists()
        assert not list((self.lake.root / ".incoming").iterdir())
