"""A check of our own, beside those that every dataset has."""

import dagster as dg
import pandas as pd

LIVE = dg.AssetKey(["paris", "velib-disponibilite-en-temps-reel"])


@dg.asset_check(asset=LIVE, automation_condition=dg.AutomationCondition.eager())
def bikes_add_up(stations: pd.DataFrame) -> dg.AssetCheckResult:
    """Every bike is a mechanical one or an electric one."""
    wrong = stations[stations.mechanical + stations.ebike != stations.numbikesavailable]
    return dg.AssetCheckResult(passed=wrong.empty, metadata={"stations": len(wrong)})
