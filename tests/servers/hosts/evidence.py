"""What lies in the bucket, in PostgreSQL and on the disks of hosts, compared with the portal.

Read without the client's code. Each finding is a sentence; there should be none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.state.postgres import lock_number
from tests.servers.hosts.deployment import BUCKET, Deployment, Servers
from tests.servers.seaweed.server import KEY, SECRET
from tests.soak.truth import OURS, Chronicle, Found, counted, landed

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
AND n.nspname NOT IN ('gis', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"""
_COLUMNS = """
SELECT column_name, udt_name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""
_LOCKED = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
AND (classid::bigint << 32 | objid::bigint) = """


def findings(deployment: Deployment, chronicle: Chronicle, folder: Path) -> list[str]:
    """What is lost, doubled, split or not as the portal has it.

    Args:
        deployment: The hosts.
        chronicle: What the portal held.
        folder: An empty folder, for what the bucket has.
    """
    newest = {name: dataset for name, dataset in dict(chronicle.pages).items() if dataset}
    (root,) = _fetched(deployment.servers, folder)
    lake, tables = landed(root), _loaded(deployment.servers)
    return [*_differences(chronicle, newest, lake, tables), *split(deployment)]


def split(deployment: Deployment) -> Iterator[str]:
    """Data that a host keeps for itself."""
    for host in deployment.hosts():
        yield from (f"{host.name} keeps {path}" for path in host.kept())


def _differences(
    chronicle: Chronicle,
    newest: dict[str, Dataset],
    lake: dict[tuple[str, str], Found],
    tables: dict[str, list[Found]],
) -> Iterator[str]:
    for name in sorted({*newest} ^ {name for _, name in lake}):
        yield f"{name} is {'lost' if name in newest else 'landed and not the portal’s'}"
    for name in sorted({*newest} ^ {*tables}):
        yield f"{name} is {'not loaded' if name in newest else 'a table and not the portal’s'}"
    for name, dataset in newest.items():
        found = lake.get(("records", name))
        if found and not chronicle.is_held(found, dataset):
            yield f"the partition of {name} is not what the portal has"
        if len(tables.get(name, [])) > 1:
            yield f"{name} is loaded {len(tables[name])} times"
        for table in tables.get(name, []):
            if not chronicle.is_held(table, dataset, exactly=False):
                yield f"the table {name} is not what the portal has"


def is_locked(servers: Servers, slug: str, dataset: str) -> bool:
    """Whether any process of any host is at a dataset."""
    number = lock_number("lock", slug, f"records/{dataset}")
    return servers.postgres.ask(f"{_LOCKED} ({number})", "state") != "0"


def set_aside(servers: Servers) -> list[Any]:
    """What of the quota is set aside, by anybody."""
    rows = servers.postgres.ask("SELECT state FROM kept.ods_pipeline_quotas", "state")
    return [json.loads(row)["holds"] for row in rows.splitlines() if json.loads(row)["holds"]]


def slots(servers: Servers, run: str) -> int:
    """How many places in pools a run of Dagster has."""
    asked = f"SELECT count(*) FROM kept.concurrency_slots WHERE run_id = '{run}'"
    return int(servers.postgres.ask(asked, "dagster"))


def _fetched(servers: Servers, folder: Path) -> list[Path]:
    """The lakes of the portals, as a folder has them."""
    store = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{servers.seaweed.s3}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", ()):
            path = folder / item["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            store.download_file(BUCKET, item["Key"], str(path))
    return list((folder / "portals" / "lake").iterdir())


def _loaded(servers: Servers) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {}
    with psycopg.connect(servers.warehouse, options="-c TimeZone=UTC") as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            if table in OURS:
                continue
            told = connection.execute(_COLUMNS, (schema, table)).fetchall()
            chosen = ", ".join(
                f'gis.ST_AsBinary("{name}")' if kind == "geometry" else f'"{name}"'
                for name, kind in told
            )
            asked = f'SELECT {chosen} FROM "{schema}"."{table}"'
            rows = connection.execute(asked.encode()).fetchall()
            names = [name for name, _ in told]
            columns = [
                pa.chunked_array([pa.array(list(column))]) for column in zip(*rows, strict=True)
            ]
            one = Found("", tuple(told), counted(names, columns) if rows else counted([], []))
            found.setdefault(table, []).append(one)
    return found
