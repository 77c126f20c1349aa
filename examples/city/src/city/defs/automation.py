"""Runs what is ours when its datasets changed; the portal's own sensors run the datasets."""

import dagster as dg

downstream = dg.AutomationConditionSensorDefinition(
    "downstream",
    target=dg.AssetSelection.groups("marts"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
