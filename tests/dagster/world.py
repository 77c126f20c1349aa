"""A portal, its definitions and an instance, and the ticks of Dagster's daemons done by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from ods_pipeline.dagster.build import build_defs
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.lake import Lake

FIELDS = [
    {"name": "code", "type": "text", "label": "Code", "description": "Official code"},
    {"name": "people", "type": "int", "annotations": {"unit": "persons"}},
    {"name": "place", "type": "geo_point_2d"},
]
RECORDS = [
    {"code": f"0{number}", "people": number, "place": {"lon": 2.0, "lat": 48.0 + number}}
    for number in range(7)
]


def publish(portal: Emulator, *names: str) -> None:
    """Publish small datasets."""
    for name in names:
        portal.publish(name, fields=FIELDS, records=RECORDS)


@dataclass
class World:
    """One portal in Dagster, with ticks by hand."""

    portal: Emulator
    settings: Settings
    instance: dg.DagsterInstance
    cursor: str | None = None
    automation: Any = None

    def __post_init__(self) -> None:
        """Make the definitions once."""
        self.defs = build_defs(self.settings)
        self.repository = self.defs.get_repository_def()

    @property
    def lake(self) -> Lake:
        """The portal's lake."""
        return Lake.of(Path(self.settings.attributes.data_dir), self.settings.slug)

    @property
    def partitions(self) -> set[str]:
        """The partitions that Dagster has."""
        return set(self.instance.get_dynamic_partitions(self.settings.partitions.name or ""))

    def look(self, *, stores: bool = True) -> Any:
        """Evaluate the watching sensor, and do with its result what the daemon does.

        Args:
            stores: False to leave out the events, 10 ms each, where nobody will read them.
        """
        sensor = self.repository.get_sensor_def(self.settings.named("watch"))
        with dg.build_sensor_context(
            self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources=self.defs.resources,
        ) as context:
            result = sensor.evaluate_tick(context)
        for request in result.dynamic_partitions_requests or ():
            name = request.partitions_def_name
            if hasattr(request, "partition_keys") and type(request).__name__.startswith("Add"):
                self.instance.add_dynamic_partitions(name, request.partition_keys)
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(name, key)
        for event in result.asset_events if stores else ():
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor or self.cursor
        return result

    def asked(self) -> dict[str, set[Any]]:
        """Evaluate the automation conditions: asset to the partitions asked for."""
        self.automation = dg.evaluate_automation_conditions(
            self.defs, self.instance, cursor=self.automation and self.automation.cursor
        )
        keys = [self.settings.key("catalog")]
        keys += [
            key for extractor in self.settings.extractors for key in self.settings.keys(extractor)
        ]
        found = {key.path[-1]: self.automation.get_requested_partitions(key) for key in keys}
        return {asset: partitions for asset, partitions in found.items() if partitions}

    def run(self, *assets: str, over: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Run assets over one partition, several, or none."""
        job = self.repository.get_implicit_global_asset_job_def()
        if isinstance(over, str):
            options["partition_key"] = over
        elif over:
            options["tags"] = {
                "dagster/asset_partition_range_start": over[0],
                "dagster/asset_partition_range_end": over[-1],
            }
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[self.settings.key(asset) for asset in assets],
            **options,
        )

    def sync(self, **config: Any) -> Any:
        """Run the job over everything."""
        op = self.settings.named("fetch")
        return self.repository.get_job(self.settings.named("sync")).execute_in_process(
            instance=self.instance,
            run_config={"ops": {op: {"config": config}}},
            raise_on_error=False,
        )

    def carry_out(self, asked: dict[str, set[Any]]) -> None:
        """Run what automation asked for, each asset in its own runs."""
        for asset, partitions in asked.items():
            for partition in sorted(partitions, key=str):
                self.run(asset, over=partition, raise_on_error=False)

    def latest(self, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
        """The newest materialization of an asset."""
        wanted = dg.AssetRecordsFilter(
            self.settings.key(asset), asset_partitions=[partition] if partition else None
        )
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization
        return record.asset_materialization

    def sent(self) -> list[str]:
        """Paths asked for since the last look at them, without the API's own."""
        paths = [request.path.removeprefix("/api/explore/v2.1") for request in self.portal.requests]
        self.portal.requests.clear()
        return paths


def value(event: dg.AssetMaterialization, key: str) -> Any:
    """One entry of a materialization's metadata."""
    return event.metadata[key].value


def reason(result: Any) -> str:
    """The sentence that a failed run ends with."""
    (event,) = [item for item in result.all_events if item.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None, event.step_failure_data.error
    return str(data.description)


def rows(there: World, sql: str) -> list[tuple[object, ...]]:
    """Ask the warehouse, in the portal's schema."""
    path = Path(there.settings.attributes.data_dir) / "warehouse.duckdb"
    schema = there.settings.slug.replace(".", "_")
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute(f'SET search_path = "{schema}"')
        return connection.execute(sql).fetchall()


def settings_for(portal: str = "", **attributes: Any) -> Settings:
    """The settings of a portal, as a block of YAML with these attributes has them."""
    return OpendatasoftPortal(portal=portal, **attributes).settings()


@contextmanager
def world(folder: Path, portal: Emulator, **values: Any) -> Iterator[World]:
    """A world over a portal, with all of its state below a folder."""
    settings = settings_for(portal.url, **{"name": "demo", "data_dir": str(folder), **values})
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(portal, settings, instance)
