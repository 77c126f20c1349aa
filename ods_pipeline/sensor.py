"""Watches a portal's catalog and reports: versions, arrivals, departures. It starts nothing.

One request a tick. What a report leads to is `automation`'s decision.
"""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    OdsPipelineError,
    PortalUnreachable,
    TokenStoreError,
)
from ods_pipeline.partitions import known, moves
from ods_pipeline.resources import PortalResource, failure
from ods_pipeline.settings import Settings, loadable

#: Dagster stores 80 events a second; more than these would outlast the tick.
EVENTS_PER_TICK = 1000
_STORING = 20


def stamp(dataset: Dataset) -> str:
    """The version of a dataset by what the portal declares: date, count, fields, description.

    `modified` stands in for a missing `data_processed` only: it is typed by hand on half the
    portals.
    """
    date = dataset.data_processed or dataset.modified
    when = instant(date)
    count = "" if dataset.records_count is None else str(dataset.records_count)
    hashes = f"{dataset.schema_hash[:8]}.{dataset.metadata_hash[:8]}"
    return "|".join((when.isoformat() if when else date, count, hashes))


@dataclass(frozen=True)
class Cursor:
    """What was reported so far: a short digest of each dataset's stamp.

    Losing it costs reports that nobody reacts to, so one that cannot be read counts as empty.
    """

    seen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """Read a cursor; anything that is none gives an empty one."""
        try:
            seen = json.loads(zlib.decompress(base64.b64decode(text or "")))
            return cls({str(name): str(digest) for name, digest in seen.items()})
        except (ValueError, zlib.error, AttributeError, TypeError):
            return cls()

    def __str__(self) -> str:
        """As Dagster keeps it: about 20 bytes for a dataset."""
        text = json.dumps(self.seen, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        return base64.b64encode(zlib.compress(text.encode())).decode()


@dataclass(frozen=True)
class Report:
    """What one look at the catalog has to tell.

    Attributes:
        changed: Datasets with another stamp than was reported, with that stamp.
        left: How many more changed than one tick can report.
        cursor: What is reported when this is.
    """

    changed: Mapping[str, str]
    left: int
    cursor: Cursor


def report(catalog: Mapping[str, Dataset], partitions: Collection[str], cursor: Cursor) -> Report:
    """Compare the catalog with what Dagster was told.

    Args:
        catalog: The datasets to keep, by identifier.
        partitions: The partitions there are.
        cursor: What was reported.
    """
    known = set(partitions)
    stamps = {name: stamp(dataset) for name, dataset in catalog.items() if loadable(dataset)}
    digests = {name: _digest(text) for name, text in stamps.items()}
    changed = [
        name
        for name in sorted(stamps)
        if cursor.seen.get(name) != digests[name] or name not in known
    ]
    told = changed[:EVENTS_PER_TICK]
    kept = {name: digest for name, digest in cursor.seen.items() if name in stamps}
    return Report(
        changed={name: stamps[name] for name in told},
        left=len(changed) - len(told),
        cursor=Cursor({**kept, **{name: digests[name] for name in told}}),
    )


def _digest(text: str) -> str:
    return base64.b85encode(hashlib.sha256(text.encode()).digest()[:5]).decode()


def watching_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor that watches a portal's catalog."""
    running = dg.DefaultSensorStatus.RUNNING if settings.running else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=settings.named("watch"),
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=running,
        required_resource_keys={settings.resource("portal")},
        description=f"Looks at the catalog of {settings.address.base} and reports what changed.",
    )
    def watch(context: dg.SensorEvaluationContext) -> Any:
        resource = getattr(context.resources, settings.resource("portal"))
        try:
            catalog = settings.selected(look(resource))
        except (AccessDenied, ConfigurationError, TokenStoreError) as error:
            # A person is needed, and nobody reads the ticks that were skipped.
            raise failure(error) from None
        except OdsPipelineError as error:
            context.log.warning(str(error))
            return dg.SkipReason(str(error))
        instance = context.instance
        if settings.layers and not settings.carried(settings.lanes[-1], catalog):
            context.log.warning("no geographic dataset is one of those that `features` includes")
        found = report(catalog, known(instance, settings.partitions), Cursor.parse(context.cursor))
        requests: list[Any] = []
        for partitions, moved in moves(instance, settings, catalog):
            if moved.arrived:
                requests.append(partitions.build_add_request(list(moved.arrived)))
            if moved.departed:
                requests.append(partitions.build_delete_request(list(moved.departed)))
        return sensor_result(settings, found, requests)

    return watch


def sensor_result(settings: Settings, found: Report, requests: list[Any]) -> dg.SensorResult:
    """A report in Dagster's terms."""
    quiet = not (requests or found.changed)
    return dg.SensorResult(
        dynamic_partitions_requests=requests,
        asset_events=version_events(settings, found.changed),
        cursor=str(found.cursor),
        skip_reason="the catalog says what it said before" if quiet else None,
    )


def version_events(settings: Settings, stamps: Mapping[str, str]) -> list[dg.AssetMaterialization]:
    """The versions of datasets, as events of the asset that stands for them."""
    return [
        dg.AssetMaterialization(
            settings.key("dataset"), partition=name, tags={"dagster/data_version": text}
        )
        for name, text in stamps.items()
    ]


def look(resource: PortalResource) -> list[Dataset]:
    """The catalog, or an error before Dagster would end the tick without one.

    Raises:
        PortalError: The portal does not answer, or not in time.
    """
    limit = int(os.environ.get("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "60"))
    seconds = max(limit - _STORING, limit / 2)
    portal = resource.connect(read_timeout=seconds, patience=0)
    pool = ThreadPoolExecutor(1, "catalog")
    try:
        return pool.submit(portal.datasets).result(seconds)
    except TooSlow:
        portal.client.cancelled.set()
        raise PortalUnreachable(
            f"{resource.address} did not send its catalog within {seconds:.0f} s; "
            "set DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS to more than 60",
            portal=portal.slug,
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
