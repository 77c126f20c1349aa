"""Whom to tell when a run fails, or when a dataset keeps its last good rows."""

import json
import os
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

DATA = Path(os.environ.get("ODS_DATA_DIR", "data"))


def notify(sentence: str) -> None:
    """Tell people; replace this by a call of your chat."""
    DATA.mkdir(exist_ok=True)
    with (DATA / "alerts.txt").open("a", encoding="utf-8") as file:
        file.write(f"{sentence}\n")


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def failures(context: dg.RunFailureSensorContext) -> None:
    """Tell what failed: the steps of a portal end with one sentence."""
    run, steps = context.dagster_run.run_id[:8], context.get_step_failure_events()
    if not steps:  # It never got so far, or was killed.
        notify(f"Run {run} failed: {context.failure_event.message}")
    for step in steps:
        told, error = step.step_failure_data.user_failure_data, step.step_failure_data.error
        if told and "held" in told.metadata:
            continue  # What is held is told below.
        reason = told.description if told else (error.cause or error).message if error else ""
        first, *_ = " ".join((reason or "").split()).split(". ")  # dbt tells pages.
        notify(f"Run {run} failed: {first}")


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def holds(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Tell once that a dataset is held: the list is a file of the lake, so nothing is locked."""
    told, held = set(json.loads(context.cursor or "[]")), {}
    for path in DATA.glob("lake/*/held.parquet"):
        for hold in pq.read_table(path).to_pylist():
            name = f"{path.parent.name}/{hold['dataset_id']} ({hold['kind']})"
            held[f"{name} since {hold['since']}"] = f"{name} is held: {hold['reason']}"
    for key in sorted(held.keys() - told):
        notify(held[key])
    context.update_cursor(json.dumps(sorted(held)))
    return dg.SkipReason(f"{len(held)} are held")
