"""One program of one task, in a process that does nothing else: `python -m benchmarks.child`.

The process reads its own peak from the kernel when it is done: what `getrusage` calls the peak is
inherited from whoever started it. Imports nothing that a peer's own environment may lack.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path


def main() -> None:
    """Run `module:function` on a portal and a folder; one JSON line on stdout tells the cost."""
    target, url, folder = sys.argv[1:]
    module, _, function = target.partition(":")
    made = None
    told: dict[str, object] = {}
    try:
        run = getattr(importlib.import_module(f"benchmarks.{module}"), function)
        made = run(url, Path(folder))
    except ModuleNotFoundError as error:
        told["problem"] = f"missing: {error.name}"
    except FileNotFoundError as error:
        told["problem"] = f"missing: {Path(str(error.filename)).name}"
    except Exception as error:
        # Whatever it is, the others are still measured.
        said = " ".join(str(error).replace(folder, "…").split())[:300]
        told["problem"] = f"failed: {type(error).__name__}: {said}"
    told |= {"peak_mb": peak(), "made": str(made or "")}
    sys.__stdout__.write(json.dumps(told) + "\n")  # type: ignore[union-attr]


def peak() -> float:
    """The most memory that this process held at any moment, and its largest child, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            return (int(line.split()[1]) + children) * 1024 / 1e6
    raise OSError("this system does not tell a process its peak memory; Linux does")


if __name__ == "__main__":
    main()
