"""Watches a portal's catalog, and reports new versions, new datasets and withdrawn ones.

One request a tick. Nothing is started here: automation conditions decide what runs.
"""

import base64
import hashlib
import json
import math
import os
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ods_pipeline.dagster.file_partitions import (
    SOURCE,
    file_kinds,
    has_any,
    has_some,
    kept_of,
    kept_of_any,
    partitions_of_source,
)
from ods_pipeline.dagster.partitions import existing, moves
from ods_pipeline.dagster.resources import PortalResource, errors_as_failures, failure, lake_of
from ods_pipeline.dagster.settings import Settings, loadable
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    OdsPipelineError,
    PortalUnreachable,
    TokenStoreError,
)
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.catalog import gone, require_most
from ods_pipeline.sync.rules import DEFAULT, Rules

#: Dagster's daemon stores some 80 events a second, and evaluates no other sensor meanwhile. What is
#: left waits for the next look, which may be half an hour away.
EVENTS_PER_TICK = 5000
_STORING = 20
# For a question about one dataset, and how many of them a tick has time for: the rest waits.
_SECONDS, _ASKED_PER_TICK = 5, 5
_DAY = 86_400


def version_of(dataset: Dataset, rules: Rules, now: datetime) -> str:
    """The version of a dataset: what the portal declares, and how often its content was due.

    A date that never moves is not trusted for ever. Twice within the days of trust every dataset
    gets another version, each on a day of its own; whether it really is to be compared is the
    verdict's decision, which costs next to nothing.

    Args:
        dataset: As the catalog has it.
        rules: For how many days nothing is compared; for none, every day is one to look.
        now: The time.
    """
    days = max(rules.trust_days / 2, 1)
    digest = hashlib.sha256(dataset.dataset_id.encode("utf-8", "surrogatepass")).digest()
    phase = int.from_bytes(digest[:4], "big") / 2**32
    return f"{dataset.stamp}|{math.floor(now.timestamp() / _DAY / days + phase)}"


@dataclass(frozen=True)
class Cursor:
    """What was reported so far: a short digest of each dataset's stamp.

    One that cannot be read counts as empty: that only repeats reports, which start no run.

    Attributes:
        seen: The datasets, by identifier.
        of_files: The same of those of which files are kept.
    """

    seen: Mapping[str, str] = field(default_factory=dict)
    of_files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """Read a cursor; anything else gives an empty one."""
        try:
            found = json.loads(zlib.decompress(base64.b64decode(text or "")))
            seen, of_files = found if isinstance(found, list) else (found, {})
            return cls(
                *({str(name): str(d) for name, d in each.items()} for each in (seen, of_files))
            )
        except (ValueError, zlib.error, AttributeError, TypeError):
            return cls()

    def __str__(self) -> str:
        """As Dagster keeps it: about 20 bytes for a dataset."""
        found = [self.seen, self.of_files] if self.of_files else self.seen
        text = json.dumps(found, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        return base64.b64encode(zlib.compress(text.encode())).decode()


@dataclass(frozen=True)
class Report:
    """What one look at the catalog has to tell.

    Attributes:
        changed: Datasets with another stamp than was reported, with that stamp.
        left: How many more changed than one tick can report.
        cursor: What is reported when this is.
        of_files: As `changed`, of the datasets of which files are kept.
    """

    changed: Mapping[str, str]
    left: int
    cursor: Cursor
    of_files: Mapping[str, str] = field(default_factory=dict)


def report(
    catalog: Mapping[str, Dataset],
    partitions: Collection[str],
    cursor: Cursor,
    rules: Rules = DEFAULT,
    now: datetime | None = None,
    own: Collection[str] = (),
) -> Report:
    """Compare the catalog with what was reported to Dagster.

    Args:
        catalog: The datasets to keep.
        partitions: The partitions that there are.
        cursor: What was reported.
        rules: How the portal is trusted.
        now: The time; the clock's without it.
        own: The datasets that are assets of their own, and not partitions.
    """
    existing, time = set(partitions), now or datetime.now(UTC)
    stamps = {
        name: version_of(dataset, rules, time)
        for name, dataset in catalog.items()
        if loadable(dataset)
    }
    # One that was a partition before is reported again as an asset, and the other way round.
    digests = {
        name: _digest(f"{text}|own" if name in own else text) for name, text in stamps.items()
    }
    changed = [
        name
        for name in sorted(stamps)
        if cursor.seen.get(name) != digests[name] or name not in existing
    ]
    reported = changed[:EVENTS_PER_TICK]
    kept = {name: digest for name, digest in cursor.seen.items() if name in stamps}
    return Report(
        changed={name: stamps[name] for name in reported},
        left=len(changed) - len(reported),
        cursor=replace(cursor, seen={**kept, **{name: digests[name] for name in reported}}),
    )


def with_files(
    found: Report,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    partitions: Collection[str],
    now: datetime | None = None,
) -> Report:
    """The same with the versions of the datasets of which files are kept.

    What a portal lists of attachments is part of them, which no date of the portal's tells of.

    Args:
        found: The report, as far as it goes.
        settings: The portal's.
        catalog: The datasets to keep.
        partitions: The partitions that there are of such datasets.
        now: The time; the clock's without it.
    """
    time, existing, seen = now or datetime.now(UTC), set(partitions), found.cursor.of_files
    stamps = {
        name: f"{version_of(dataset, settings.rules, time)}|{dataset.documents or ''}"
        for name, dataset in kept_of_any(settings, catalog).items()
        if dataset.data_visible and (name in existing or has_any(settings, dataset))
    }
    digests = {name: _digest(text) for name, text in stamps.items()}
    changed = [
        name for name in sorted(stamps) if seen.get(name) != digests[name] or name not in existing
    ][: EVENTS_PER_TICK - len(found.changed)]
    kept = {name: digest for name, digest in seen.items() if name in stamps}
    told = {**kept, **{name: digests[name] for name in changed}}
    return replace(
        found,
        cursor=replace(found.cursor, of_files=told),
        of_files={name: stamps[name] for name in changed},
    )


def _digest(text: str) -> str:
    return base64.b85encode(hashlib.sha256(text.encode()).digest()[:5]).decode()


def watching_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor that watches a portal's catalog."""

    @dg.sensor(
        name=settings.named("watch"),
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=settings.sensor_status,
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        description=f"Looks at the catalog of {settings.address.base} and reports what changed.",
    )
    def watch(context: dg.SensorEvaluationContext) -> Any:
        resource = getattr(context.resources, settings.resource("portal"))
        instance = context.instance
        try:
            datasets, passing = look(resource, settings)
        except (AccessDenied, ConfigurationError, TokenStoreError) as error:
            # A person is needed, and skipped ticks are not read.
            raise failure(error) from None
        except OdsPipelineError as error:
            context.log.warning(str(error))
            return dg.SkipReason(str(error))
        if unfit := settings.unfit(dataset.dataset_id for dataset in datasets):
            context.log.warning(
                f"{len(unfit)} datasets are left out, since Dagster has no such partition keys: "
                f"{', '.join(map(repr, unfit[:5]))}; `ods-pipeline sync` takes them"
            )
        listed = {dataset.dataset_id for dataset in datasets}
        if unmatched := settings.attributes.selection.unmatched(listed):
            context.log.warning(
                f"the portal has no dataset for {', '.join(map(repr, sorted(unmatched)))}, which "
                "`datasets` or `tables` name"
            )
        catalog = settings.selected(datasets, passing)
        there = existing(instance, settings.partitions)
        with errors_as_failures():
            _require_most(context, settings, datasets, there)
        if settings.attributes.features.include and not settings.taken_for(
            settings.extractors[-1], catalog
        ):
            context.log.warning("no geographic dataset is one of those that `features` includes")
        for kind in file_kinds(settings):
            if not any(has_some(kind, item) for item in kept_of(settings, kind, catalog).values()):
                context.log.warning(f"no dataset that `{kind}` includes has any")
        # A dataset that is an asset of its own is there without a partition.
        own = settings.attributes.tables.keys()
        cursor = Cursor.parse(context.cursor)
        found = report(catalog, there | own, cursor, settings.rules, own=own)
        found = with_files(
            found, settings, catalog, existing(instance, partitions_of_source(settings))
        )
        if found.left:
            context.log.info(f"{found.left} more datasets are reported at the next looks")
        changed = unfiltered(found.changed, settings, lake_of(context, settings))
        requests: list[Any] = []
        portal = resource.connect(read_timeout=_SECONDS, max_wait=0)
        for partitions, moved in moves(instance, settings, catalog):
            if moved.arrived:
                requests.append(partitions.build_add_request(list(moved.arrived)))
            unlisted = [name for name in moved.departed if name not in listed][:_ASKED_PER_TICK]
            left = [name for name in moved.departed if name in listed]
            left += [name for name in unlisted if _left(context, portal, name)]
            if left:
                requests.append(partitions.build_delete_request(left))
        events = version_events(settings, changed) + file_events(settings, found.of_files)
        quiet = not (requests or events)
        return dg.SensorResult(
            dynamic_partitions_requests=requests,
            asset_events=events,
            cursor=str(found.cursor),
            skip_reason="the catalog says what it said before" if quiet else None,
        )

    return watch


def _left(context: dg.SensorEvaluationContext, portal: Portal, name: str) -> bool:
    """Whether the portal confirms that a dataset which the catalog leaves out is gone."""
    try:
        left = gone(portal, name)
    except OdsPipelineError as error:
        context.log.warning(f"{name} is not listed, and the portal does not say why: {error}")
        return False
    if not left:
        context.log.warning(f"the catalog leaves {name} out, but the portal has it")
    return left


def _require_most(
    context: dg.SensorEvaluationContext,
    settings: Settings,
    datasets: Sequence[Dataset],
    partitions: Collection[str],
) -> None:
    """Doubt a catalog that lost most of its datasets, before any partition goes with them.

    Compared with the catalog as it was landed, so that a person's word for it counts here too.
    """
    landed = receipt(lake_of(context, settings).catalog)
    if landed:
        require_most(settings.slug, landed.rows, len(datasets))
    else:
        kept = {name for name in partitions if settings.selects(name)}
        require_most(settings.slug, len(kept), len(kept & {d.dataset_id for d in datasets}))


def unfiltered(stamps: Mapping[str, str], settings: Settings, lake: Lake) -> dict[str, str]:
    """The same with another version for partitions that hold part of their dataset.

    A dataset that was an asset of its own, with a filter, has to be fetched again as a partition.
    """
    found = {}
    for name, stamp in stamps.items():
        landed = receipt(lake.partition("records", name))
        part = landed.filter if landed and name not in settings.attributes.tables else ""
        found[name] = f"{stamp}|{_digest(part)}" if part else stamp
    return found


def version_events(settings: Settings, stamps: Mapping[str, str]) -> list[dg.AssetMaterialization]:
    """The versions of datasets, as events of the asset `dataset`."""
    return [
        dg.AssetMaterialization(
            settings.source_key(name) if own else settings.key("dataset"),
            partition=None if own else name,
            tags={"dagster/data_version": text},
        )
        for name, text in stamps.items()
        for own in [name in settings.attributes.tables]
    ]


def file_events(settings: Settings, stamps: Mapping[str, str]) -> list[dg.AssetMaterialization]:
    """The versions of datasets of which files are kept, as events of the asset for these."""
    return [
        dg.AssetMaterialization(
            settings.key(SOURCE), partition=name, tags={"dagster/data_version": text}
        )
        for name, text in stamps.items()
    ]


def look(resource: PortalResource, settings: Settings) -> tuple[list[Dataset], set[str] | None]:
    """The catalog, or an error before Dagster would end the tick without one.

    Returns:
        The datasets, and which pass the settings' filter; None where there is no filter.

    Raises:
        PortalError: The portal does not answer, or not in time.
    """
    limit = int(os.environ.get("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "60"))
    seconds = max(limit - _STORING, limit / 2)
    portal = resource.connect(read_timeout=seconds, max_wait=0)
    pool = ThreadPoolExecutor(1, "catalog")
    try:
        return pool.submit(lambda: (portal.datasets(), settings.passing(portal))).result(seconds)
    except TooSlow:
        portal.client.cancelled.set()
        raise PortalUnreachable(
            f"{resource.address} did not send its catalog within {seconds:.0f} s; "
            "set DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS to more than 60",
            portal=portal.slug,
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
