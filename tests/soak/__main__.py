"""The soak as a program: `python -m tests.soak`; its exit status is 1 where anything is wrong."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

from tests.soak.run import MB, Size, soak

_SHOWN = 30


def main() -> None:
    """Soak, and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    for field in dataclasses.fields(Size):
        if field.name != "fresh":
            kind = type(field.default)
            parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    size = Size(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        data = Path(folder, "data")
        data.mkdir()
        done = soak(size, data, lambda line: print(line, flush=True))
    first, last = done.held[min(size.settling, len(done.held)) - 1], done.held[-1]
    print(
        f"{size.datasets} datasets, {size.rounds} rounds of {size.processes} processes, "
        f"{done.kills} of which were killed: {done.requests} requests, {done.strikes} spoilt, "
        f"{done.seconds:.0f} s; memory {first[0] / MB:.0f} -> {last[0] / MB:.0f} MB, "
        f"open files {first[1]} -> {last[1]}"
    )
    for problem in done.problems[:_SHOWN]:
        print(f"- {problem}")
    print(f"{len(done.problems)} things are wrong" if done.problems else "all is well")
    sys.exit(bool(done.problems))


if __name__ == "__main__":
    main()
