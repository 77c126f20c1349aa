"""The process that runs one program of one task: `python -m benchmarks.child`.

It reads its own peak memory from the kernel at the end: that of `getrusage` is inherited from the
parent process. Nothing is imported that a peer's environment may lack.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path


def main() -> None:
    """Run `module:function` on a portal and a folder; one JSON line on stdout has the cost."""
    target, url, folder = sys.argv[1:]
    module, _, function = target.partition(":")
    made = None
    report: dict[str, object] = {}
    try:
        run = getattr(importlib.import_module(f"benchmarks.{module}"), function)
        made = run(url, Path(folder))
    except ModuleNotFoundError as error:
        report["problem"] = f"missing: {error.name}"
    except FileNotFoundError as error:
        report["problem"] = f"missing: {Path(str(error.filename)).name}"
    except Exception as error:
        # Whatever the error is, the other programs are still measured.
        message = " ".join(str(error).replace(folder, "…").split())[:300]
        report["problem"] = f"failed: {type(error).__name__}: {message}"
    report |= {"peak_mb": peak(), "made": str(made or "")}
    sys.__stdout__.write(json.dumps(report) + "\n")  # type: ignore[union-attr]


def peak() -> float:
    """The most memory that this process held at any moment, and its largest child, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            return (int(line.split()[1]) + children) * 1024 / 1e6
    raise OSError("this system does not show a process its peak memory; Linux does")


if __name__ == "__main__":
    main()
