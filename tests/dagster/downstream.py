"""An asset of a user's own, downstream of the portal's: what its parameter is given."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from tests.dagster.world import World

LAYERS = {"features", "layer"}


def given(
    there: World,
    wanted: Any,
    over: str | None = None,
    asset: str = "records",
    seen: Callable[[Any], Any] = lambda rows: rows,
) -> tuple[Any, Any]:
    """Run an asset whose parameter is annotated so.

    Args:
        there: The portal in Dagster.
        wanted: The annotation.
        over: The partition to run; without it the asset has none, and is given all.
        asset: The upstream asset.
        seen: What the asset makes of the rows, while it runs.

    Returns:
        What `seen` made of it, and the run's result.
    """
    made: list[Any] = []

    def downstream(upstream: wanted) -> None:  # type: ignore[valid-type]
        made.append(seen(upstream))

    partitions = there.settings.layer_partitions if asset in LAYERS else there.settings.partitions
    own = dg.asset(
        name="downstream",
        ins={"upstream": dg.AssetIn(key=there.settings.key(asset))},
        partitions_def=partitions if over else None,
    )(downstream)
    defs = dg.Definitions.merge(there.defs, dg.Definitions([own]))
    job = defs.get_repository_def().get_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=there.instance,
        asset_selection=[own.key],
        partition_key=over,
        raise_on_error=False,
    )
    # Taken out: Dagster keeps the function for longer than a run.
    return (made.pop() if made else None), result
