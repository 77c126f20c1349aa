"""Processes that share a login, each of so many threads that ask the portal at the same moment.

Run as a module. Each line on stdin names two pipes of a new process, and is answered by its number.
Each line in its first pipe is the time; each line in its second what became of the threads.
"""

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TextIO

from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.http.client import Client
from tests.portal.auth.world import Clock


def main(*who: str) -> None:
    """Starting Python and its libraries takes most of the time of a process: this does it once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            heard, said = json.loads(line)
            with open(heard) as times, open(said, "w") as answers:
                ask_at(times, answers, *who)
            os._exit(0)
        print(pid, flush=True)


def ask_at(times: TextIO, answers: TextIO, url: str, place: str, threads: str) -> None:
    clock = Clock()
    client = Client(url, OAuth2("app", "app-secret", _place(place), clock=clock))
    together = Barrier(int(threads))

    def ask(_: int) -> str:
        together.wait()
        try:
            return str(client.json("/catalog/datasets/private-towns")["dataset_id"])
        except OdsPipelineError as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(int(threads)) as pool:
        print("ready", file=answers, flush=True)
        for line in times:
            clock.now = float(line)
            became = list(pool.map(ask, range(int(threads))))
            print(json.dumps(became), file=answers, flush=True)


def _place(place: str) -> str | Path:
    return place if "://" in place else Path(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
