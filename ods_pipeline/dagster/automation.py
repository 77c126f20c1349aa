"""Automation conditions: when an asset is run. Nothing is started here, and nothing fetched."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import dagster as dg

from ods_pipeline.dagster.settings import Settings

#: What failed twice is tried again at this hour only: a spent quota is full again by then, and
#: what fails for good costs one run a day.
SECOND_CHANCE = "0 4 * * *"


#: Between two evaluations, which cost no request; fewer where the portal is watched more closely.
_SECONDS = 30


@dg.template_var
@functools.cache
def refresh_on_change() -> dg.AutomationCondition[dg.AssetKey]:
    """Ask for an asset once per new version upstream, and once more if that run failed.

    For what is downstream of a portal's datasets too, in YAML as `{{ refresh_on_change }}` with
    `template_vars_module: ods_pipeline.dagster.automation`.

    Why not `eager()`: it runs again when the same version is reported again, and forgets a change
    that arrives between the end of a run and the next look. Why each part:

    - `since(newly_requested() & ~stale)`: a change that arrives while an older version is being
      fetched must be cleared neither by the older run's end, as `since_last_handled()` would, nor
      by its request, where it arrives one tick after that.
    - `_once_more`: a failure alone would ask again at every tick.
    - `cron_tick_passed`: a run that failed twice has lost its signal, since the version will not
      change again on that account.
    - Nothing is asked for before its parents are done: a table that is loaded in the same run as
      its records would be asked for again when their new version appears.
    """
    when = dg.AutomationCondition
    stale = (
        when.missing().newly_true()
        | when.any_deps_match(when.data_version_changed())
        | when.code_version_changed()
    )
    again = _once_more(stale) | (when.execution_failed() & when.cron_tick_passed(SECOND_CHANCE))
    waits = when.any_deps_match(when.missing() | when.in_progress() | when.will_be_requested())
    return (stale.since(when.newly_requested() & ~stale) | again) & ~waits & ~when.in_progress()


def refresh_on_change_or_age(hours: int) -> dg.AutomationCondition[dg.AssetKey]:
    """Ask for the catalog when a dataset has another version, and before its age is `hours`."""
    when = dg.AutomationCondition
    stale = (
        when.missing().newly_true()
        | when.any_deps_match(when.data_version_changed())
        | when.cron_tick_passed(refresh_cron(hours))
    )
    wanted = stale.since(when.newly_requested() & ~stale) | _once_more(stale)
    return wanted & ~when.in_progress()


def _once_more(stale: dg.AutomationCondition[dg.AssetKey]) -> dg.AutomationCondition[dg.AssetKey]:
    """Ask again after the first failure since a change, and not after the next.

    An asset without partitions does not count as failed while another run of it is under way, so
    each of its failures is a new one to Dagster.
    """
    return dg.AutomationCondition.execution_failed().newly_true().since(stale).newly_true()


def refresh_cron(hours: int) -> str:
    """A cron expression with ticks at most half of so many hours apart."""
    return f"0 */{max(1, min(hours // 2, 12))} * * *"


def automation_sensor(
    settings: Settings,
    own: Sequence[dg.AssetKey] = (),
    files: Sequence[dg.AssetKey] = (),
) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates one portal's conditions; it can be paused by itself.

    Args:
        settings: The portal's.
        own: The datasets that are assets of their own.
        files: The assets that are files.
    """
    return dg.AutomationConditionSensorDefinition(
        settings.named("automation"),
        target=dg.AssetSelection.assets(
            settings.key("catalog"),
            *own,
            *files,
            *(key for extractor in settings.extractors for key in settings.keys(extractor)),
        )
        | dg.AssetSelection.checks_for_assets(*own),
        default_status=settings.sensor_status,
        minimum_interval_seconds=min(settings.sensor_seconds, _SECONDS),
        run_tags={"ods_pipeline/portal": settings.name},
        description=f"Runs what changed on {settings.address.base}.",
    )
