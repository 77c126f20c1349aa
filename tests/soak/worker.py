"""A process that syncs whenever it is told to, and tells what it came to and what it holds."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ods_pipeline.cli import process
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.options import Options, RunContext
from ods_pipeline.sync.outcome import exit_status
from ods_pipeline.sync.run import Run
from ods_pipeline.warehouse import open_warehouse


def main() -> None:
    """For each line of words on stdin, sync once and answer with one line of JSON."""
    url, folder, pause = sys.argv[1:]
    process.prepare_to_load()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        told = _synced(url, Path(folder), float(pause), line.split())
        gc.collect()
        told |= {"rss": resident(), "descriptors": len(os.listdir("/proc/self/fd"))}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _synced(url: str, folder: Path, pause: float, words: list[str]) -> dict[str, Any]:
    portal = Portal(url)
    portal.client._unit = pause
    warehouse = f"duckdb:///{folder / 'warehouse.duckdb'}"
    run = Run(
        RunContext(
            portal,
            Lake.of(folder, portal.slug),
            Options(accept="accept" in words, features="features" in words),
        ),
        lambda: contextlib.closing(open_warehouse(warehouse, max_wait=60)),
    )
    try:
        outcomes = run()
    except OdsPipelineError as error:
        return {"status": 1, "actions": {"stopped": 1}, "reasons": {"stopped": [str(error)]}}
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.action in {"failed", "deferred"}:
            reasons.setdefault(outcome.action, []).append(f"{outcome.name}: {outcome.reason}")
    return {
        "status": exit_status(outcomes),
        "actions": Counter(outcome.action for outcome in outcomes),
        "reasons": reasons,
    }


def resident() -> int:
    """Bytes that this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
