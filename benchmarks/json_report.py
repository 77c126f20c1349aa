"""All measurements as JSON: runs, versions, targets, slopes, and the machine without its name.

Tables and plots do not belong here.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.environments import versions
from benchmarks.figures import Measured
from benchmarks.slopes import slopes
from benchmarks.targets import checks

_LIBRARIES = (
    "ods-pipeline", "dagster", "pyarrow", "duckdb", "pandas", "geopandas", "pyogrio", "GDAL",
    "requests",
)  # fmt: skip


def json_report(done: Sequence[Measured]) -> dict[str, Any]:
    """The whole report."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "versions": versions(sys.executable, _LIBRARIES),
        "broken": [text for measured in done for text in measured.broken()],
        "targets": [
            {
                "job": check.target.job,
                "task": check.task.title_with_size,
                "target": check.target.text,
                "figure": round(check.figure, 3),
                "verdict": check.verdict,
            }
            for check in checks(done)
        ],
        "slopes": [
            asdict(s) | {"exponent": s.exponent, "each_us": s.each_us, "memory": s.memory}
            for s in slopes(done)
        ],
        "tasks": [
            {
                "task": measured.task.name,
                "title": measured.title,
                "size": measured.task.size,
                "profile": measured.task.profile,
                "results": [asdict(result) for result in measured.results],
            }
            for measured in done
        ],
    }
