"""One process of several that share a quota. Run as a module.

`spend URL THREADS`: threads ask three times for each of endless datasets, until none may begin;
then a line says how many requests were sent and how it ended. `hold URL REQUESTS`: sets requests
aside, says so, and stays. `ask URL`: asks once and says what came of it. STATE names the database
that they share it in.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.http.client import Client
from ods_pipeline.state.database import shared


def spend(client: Client, threads: str) -> str:
    def work(number: int) -> str:
        try:
            while True:
                with client.reserved(3, f"d{number}"):
                    for _ in range(3):
                        client.json("/catalog/datasets")
        except OdsPipelineError as error:
            return f"{type(error).__name__}: {error.message}"

    client.json("/catalog/datasets")
    with ThreadPoolExecutor(int(threads)) as pool:
        ends = list(pool.map(work, range(int(threads))))
    return f"{client.requests_made} {ends[0]}"


def hold(client: Client, requests: str) -> str:
    with client.reserved(int(requests), "d"):
        print("held", flush=True)
        time.sleep(60)
    return "not killed"


def ask(client: Client) -> str:
    try:
        client.json("/catalog/datasets")
    except OdsPipelineError as error:
        return f"{client.requests_made} {type(error).__name__}: {error.message}"
    return f"{client.requests_made} answered"


if __name__ == "__main__":
    does, url, *arguments = sys.argv[1:]
    doing: dict[str, Callable[..., str]] = {"spend": spend, "hold": hold, "ask": ask}
    client = Client(url, max_wait=0, attempts=1, state=shared(os.environ.get("STATE", "")))
    print(doing[does](client, *arguments), flush=True)
