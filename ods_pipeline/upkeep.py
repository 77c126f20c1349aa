"""Landed partitions brought up to date without asking the portal: new words, another name.

The rows stay as they were proven. What is fetched is `landing`'s work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow.parquet as pq

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import LakeError
from ods_pipeline.lane import RECORDS, Lane
from ods_pipeline.planning import renames
from ods_pipeline.tables.geometry import geometry_columns, primary
from ods_pipeline.tables.holds import Place
from ods_pipeline.tables.lake import Lake, PartitionKind, explained, receipt
from ods_pipeline.tables.partition import rewrite
from ods_pipeline.tables.receipt import Receipt

_PROVEN = ("source_url", "format", "fetched_at", "proof", "note", "formerly")


def redescribe(dataset: Dataset, lake: Lake, previous: Receipt, *, lane: Lane = RECORDS) -> Receipt:
    """Bring labels, licence and title of a landed partition up to date.

    Args:
        dataset: The dataset as the catalog describes it, with the names and types that are landed.
        lake: Where it is landed.
        previous: Receipt of what is landed.
        lane: The way by which it came.

    Raises:
        LakeError: The partition cannot be read or written; it stays.
    """
    proven = {name: getattr(previous, name) for name in _PROVEN}
    known = Receipt.of(dataset, lane.kind, **proven)
    target = lake.partition(lane.kind, dataset.dataset_id)
    return rewrite(lake, target, lane.schema(dataset), known, primary(dataset.fields))


def follow_all(
    lake: Lake, datasets: Iterable[Dataset], receipts: Mapping[PartitionKind, dict[str, Receipt]]
) -> dict[Place, str]:
    """Give every landed partition the identifier that the portal has given its dataset.

    Args:
        lake: Where they are landed.
        datasets: The whole catalog.
        receipts: What is landed, by kind and identifier; brought up to date.

    Returns:
        The identifiers that partitions had before.

    Raises:
        LakeError: A partition cannot be read or written; it stays.
    """
    catalog = {dataset.dataset_id: dataset for dataset in datasets}
    formerly: dict[Place, str] = {}
    for kind, known in receipts.items():
        for new, old in renames(catalog, known).items():
            with lake.turn(kind, new):
                known[new] = follow(lake, kind, old, new)
            del known[old]
            formerly[kind, new] = old
    return formerly


def follow(lake: Lake, kind: str, old: str, new: str) -> Receipt:
    """Give a landed partition the identifier that the portal has given its dataset.

    The new file says what it was called, and is whole before the old one goes; broken off in
    between, it is finished by the next call.

    Args:
        lake: Where it is landed.
        kind: `records` or `features`.
        old: The identifier under which it is landed.
        new: The identifier that it has now.

    Raises:
        LakeError: The partition cannot be read or written; the old one stays.
    """
    source, target = lake.partition(kind, old), lake.partition(kind, new)
    there = receipt(target)
    if there is None or old not in there.former_names:
        known = receipt(source)
        if known is None:
            raise LakeError(f"{source} is damaged; delete it and sync again", dataset=new)
        names = json.dumps([*known.former_names, old], ensure_ascii=False)
        schema = pq.read_schema(source).remove_metadata()
        shapes = geometry_columns(schema)
        known = replace(known, dataset_id=new, formerly=names)
        first = shapes[0] if shapes else ""
        there = rewrite(lake, target, schema, known, first, source)
    with explained(source):
        source.unlink(missing_ok=True)
    return there
