"""One process of many that share a login: eight threads that ask the portal at the same moment.

Run as a module. Each line on stdin is the time; each line on stdout what became of the threads.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.http.client import Client
from tests.portal.auth.world import Clock


def main(url: str, place: str, threads: int) -> None:
    clock = Clock()
    client = Client(url, OAuth2("app", "app-secret", _place(place), clock=clock))
    together = Barrier(threads)

    def ask(_: int) -> str:
        together.wait()
        try:
            return str(client.json("/catalog/datasets/private-towns")["dataset_id"])
        except OdsPipelineError as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            clock.now = float(line)
            print(json.dumps(list(pool.map(ask, range(threads)))), flush=True)


def _place(place: str) -> str | Path:
    return place if "://" in place else Path(place)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
