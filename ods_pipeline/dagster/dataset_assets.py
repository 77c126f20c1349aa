"""Datasets under `tables`: each an asset of its own, which is landed and loaded by one step.

What is done for it is done in `sync`, and reported as for the partitions. What it is called and how
it is described is decided here.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ods_pipeline.dagster import checks
from ods_pipeline.dagster.assets import context_of, load_all, update_all
from ods_pipeline.dagster.attributes import AssetChoice, RunConfig
from ods_pipeline.dagster.automation import refresh_on_change
from ods_pipeline.dagster.events import interrupted
from ods_pipeline.dagster.markdown import literal, prose
from ods_pipeline.dagster.metadata import column_schema, uri
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    data_dir,
    errors_as_failures,
    lake_of,
    warehouse_of,
)
from ods_pipeline.dagster.results import Loaded, Own, Updated
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.dataset import instant
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.lake import Lake, PartitionKind, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog.frequency import declared_period
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.planner import plan_partitions

ON_TIME = "on_time"
# What is due today may come tomorrow: a publisher is late after half as long again.
_GRACE = 1.5
_DAILY = "0 6 * * *"


@dataclass(frozen=True)
class DatasetTable:
    """A dataset that is an asset of its own: what `get_asset_spec` and `translation` are given.

    Attributes:
        dataset_id: Identifier of the dataset.
        kind: `records` or `features`.
        portal: The portal's name in Dagster.
        address: The portal's base URL.
        schema: Schema of its table in the warehouse.
        table: Its table.
        landed: What is landed of it when definitions load; None for nothing.
        columns: The landed columns; None for none.
        spec: The asset as it is without anybody's changes.
    """

    dataset_id: str
    kind: str
    portal: str
    address: str
    schema: str
    table: str
    landed: Receipt | None
    columns: dg.TableSchema | None
    spec: dg.AssetSpec


GetSpec = Callable[[DatasetTable], dg.AssetSpec]


def dataset_tables(settings: Settings) -> Iterator[tuple[Extractor, DatasetTable]]:
    """The datasets under `tables`, as they are landed now; no request is sent.

    Titles and columns come from the landed files, which every process has that works on them. A
    state that is refreshed by hand could differ from them.
    """
    if not settings.attributes.tables:
        return
    lake = Lake.of(data_dir(settings.attributes.data_dir), settings.slug)
    for dataset_id in settings.attributes.tables:
        for extractor in settings.extractors:
            if extractor.kind == "records" or settings.attributes.layers.has(dataset_id):
                yield extractor, _table(settings, lake, dataset_id, extractor)


def _table(settings: Settings, lake: Lake, dataset_id: str, extractor: Extractor) -> DatasetTable:
    path = lake.partition(extractor.kind, dataset_id)
    landed = receipt(path)
    columns = column_schema(columns_of(path)) if landed else None
    names = settings.table_names
    schema = names.schema_of(settings.slug)
    table = names.table_of(dataset_id, extractor.kind)
    title = landed.title if landed else dataset_id
    about = prose(landed.description) if landed else ""
    known = (
        {
            "publisher": landed.publisher,
            "licence": landed.license,
            "attribution": landed.attribution,
        }
        if landed
        else {}
    )
    metadata = {
        "dataset_id": dataset_id,
        "kind": extractor.kind,
        "dagster/table_name": f"{schema}.{table}",
        "dagster/uri": uri(path),
        "portal_page": dg.MetadataValue.url(settings.page(dataset_id)),
        **({"dagster/column_schema": columns} if columns else {}),
        **{key: text for key, text in known.items() if text},
    }
    spec = dg.AssetSpec(
        settings.own_key(dataset_id, extractor),
        deps=[settings.source_key(dataset_id)],
        group_name=settings.group,
        kinds={"parquet", settings.warehouse_kind},
        code_version=_code_version(settings, dataset_id),
        description="\n\n".join(filter(None, (literal(title), about))),
        metadata=metadata,
        automation_condition=refresh_on_change(),
    ).with_io_manager_key(settings.resource("io_manager"))
    choice = settings.attributes.tables[dataset_id].asset
    return DatasetTable(
        dataset_id,
        extractor.kind,
        settings.name,
        settings.address.base,
        schema,
        table,
        landed,
        columns,
        as_chosen(spec, choice, renames=extractor.kind == "records"),
    )


def _code_version(settings: Settings, dataset_id: str) -> str:
    """Another one where the user asks for other rows or types, so that they are fetched."""
    table = settings.rules.table(dataset_id)
    decided = f"{table.filter} {sorted(table.types.items())} {table.bad_values}"
    return f"1.{hashlib.sha256(decided.encode()).hexdigest()[:8]}"


def as_chosen(spec: dg.AssetSpec, choice: AssetChoice, *, renames: bool = True) -> dg.AssetSpec:
    """An asset as the block `asset` of its table has it.

    Args:
        spec: The asset as it is.
        choice: What the block says.
        renames: Whether it is the one that the block's key is meant for.
    """
    given: dict[str, Any] = {}
    if choice.key and renames:
        given["key"] = dg.AssetKey.from_user_string(choice.key)
    if choice.group_name:
        given["group_name"] = choice.group_name
    if choice.owners:
        given["owners"] = choice.owners
    if choice.kinds:
        given["kinds"] = set(choice.kinds)
    if choice.description:
        given["description"] = choice.description
    if choice.deps:
        more = [dg.AssetDep(dg.AssetKey.from_user_string(text)) for text in choice.deps]
        given["deps"] = [*spec.deps, *more]
    if choice.automation_condition is not None:
        given["automation_condition"] = choice.automation_condition
    if choice.freshness:
        window = timedelta(hours=choice.freshness)
        given["freshness_policy"] = dg.FreshnessPolicy.time_window(fail_window=window)
    changed = spec.replace_attributes(**given) if given else spec
    return changed.merge_attributes(tags=choice.tags) if choice.tags else changed


def source_specs(settings: Settings) -> list[dg.AssetSpec]:
    """The datasets themselves, whose versions the sensor reports."""
    return [
        dg.AssetSpec(
            settings.source_key(dataset_id),
            group_name=settings.group,
            kinds={"opendatasoft"},
            description=f"{literal(dataset_id)} on {settings.address.base}, by the version of what "
            "the portal declares.",
            metadata={"portal_page": dg.MetadataValue.url(settings.page(dataset_id))},
        )
        for dataset_id in settings.attributes.tables
    ]


def dataset_asset(
    settings: Settings, extractor: Extractor, table: DatasetTable, spec: dg.AssetSpec
) -> dg.AssetsDefinition:
    """A dataset, landed and loaded by one step.

    Args:
        settings: The portal's.
        extractor: How its rows are fetched.
        table: The dataset.
        spec: The asset as the user wants it.
    """
    name = table.dataset_id

    @dg.multi_asset(
        name=_step_name(spec.key),
        specs=[spec],
        check_specs=checks.specs(spec.key),
        required_resource_keys={
            settings.resource(kind) for kind in ("portal", "lake", "warehouse")
        },
        pool=settings.portal_pool,
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
    )
    def own(context: dg.AssetExecutionContext, config: RunConfig) -> Any:
        with errors_as_failures():
            work = context_of(context, settings, config.mode, accept=config.accept)
            steps = plan_partitions(work, extractor, [name])
            updated, failed = update_all(work, steps)
            results = list(checks.results([*updated.values()], failed))
            loaded: dict[str, Loaded] = {}
            if updated and not work.options.verifies:
                with warehouse_of(context, settings) as warehouse:
                    verdicts = {name: str(updated[name].planned.verdict.kind)}
                    lake = lake_of(context, settings)
                    loaded, failed = load_all(warehouse, lake, work.options, extractor, verdicts)
        if failed:
            yield from checks.evaluations(spec.key, results)
            raise interrupted(context, {}, failed)
        yield own_result(spec.key, updated[name], loaded.get(name), results)

    return own


def own_result(
    key: dg.AssetKey,
    updated: Updated,
    loaded: Loaded | None,
    results: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult[Any]:
    """What the UI shows of a dataset that is an asset of its own."""
    result = updated.result
    load = loaded.load if loaded else None
    made = Own(result.path, result.receipt, updated.page, updated.did(), load)
    return dg.MaterializeResult(
        asset_key=key,
        metadata=made.metadata(),
        data_version=dg.DataVersion(updated.version),
        check_results=results,
    )


def require_different_keys(keys: Iterable[dg.AssetKey], taken: Iterable[dg.AssetKey]) -> None:
    """Refuse keys that two assets of a portal would have, which Dagster says of no block of YAML.

    Args:
        keys: Of the datasets that are assets of their own.
        taken: Of the portal's other assets.

    Raises:
        ConfigurationError: Two are the same.
    """
    seen = set(taken)
    for key in keys:
        if key in seen:
            raise ConfigurationError(
                f"two assets would have the key {key.to_user_string()}: give the dataset another "
                "one under `tables`, as `asset: {key: …}`"
            )
        seen.add(key)


def _step_name(key: dg.AssetKey) -> str:
    """A name for a step: keys that differ in punctuation alone need different ones."""
    digest = hashlib.sha256(key.to_string().encode()).hexdigest()[:6]
    return f"{key.to_python_identifier()}_{digest}"


def _with_its_dataset_and_daily() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    when: Any = dg.AutomationCondition
    condition: dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]
    fetched = when.any_deps_updated()
    condition = (fetched | when.cron_tick_passed(_DAILY)) & ~when.in_progress()
    return condition


def on_time_checks(
    settings: Settings, keys: Mapping[tuple[str, str], dg.AssetKey]
) -> list[dg.AssetChecksDefinition]:
    """Whether publishers keep to the rhythm that they declare.

    Looked at when a dataset is fetched, and once a day, since time passes without a fetch.

    Args:
        settings: The portal's.
        keys: The datasets that are assets of their own, by identifier and kind.
    """
    partitions: dict[dg.AssetKey, tuple[PartitionKind, str]] = {
        key: ("features" if kind == "features" else "records", name)
        for (name, kind), key in keys.items()
    }
    if not partitions:
        return []

    @dg.multi_asset_check(
        name=settings.named(ON_TIME),
        specs=[
            dg.AssetCheckSpec(
                ON_TIME,
                asset=key,
                description="The portal's date of the data is no older than half as long again as "
                "the publisher's declared frequency of updates.",
                automation_condition=_with_its_dataset_and_daily(),
            )
            for key in partitions
        ],
        can_subset=True,
        required_resource_keys={settings.resource("lake")},
    )
    def on_time(context: dg.AssetCheckExecutionContext) -> Any:
        now = datetime.now(UTC)
        for wanted in sorted(context.selected_asset_check_keys):
            with errors_as_failures():
                lake = lake_of(context, settings)
                landed = receipt(lake.partition(*partitions[wanted.asset_key]))
            yield punctuality(landed, now)._replace(asset_key=wanted.asset_key)

    return [on_time]


def punctuality(landed: Receipt | None, now: datetime) -> dg.AssetCheckResult:
    """Judge a dataset's date by its publisher's declared frequency.

    Args:
        landed: What is landed of it.
        now: The time.
    """
    period = declared_period(landed.frequency) if landed else None
    processed = instant(landed.data_processed or landed.modified) if landed else None
    if not landed or not period or not processed:
        said = landed.frequency if landed else ""
        why = f"the portal declares {said!r}" if said else "the portal declares no frequency"
        text = f"{why}, so nothing is late" if landed else "nothing is landed yet"
        return dg.AssetCheckResult(passed=True, check_name=ON_TIME, description=text)
    late = now - processed > _GRACE * period
    return dg.AssetCheckResult(
        passed=not late,
        check_name=ON_TIME,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"data of {processed:%Y-%m-%d %H:%M} UTC, declared {landed.frequency}",
        metadata={"data_processed": landed.data_processed, "frequency": landed.frequency},
    )
