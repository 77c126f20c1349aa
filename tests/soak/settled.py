"""What must hold when the weather is fine again and one sync has run: lake and warehouse are right.

Each finding is a sentence; there should be none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ods_pipeline.lake.verify import audited
from tests.soak.truth import Chronicle, Found, held, landed, loaded

#: All that a data folder holds beside partitions.
# With what runs keep of receipts and of the last look at the warehouse.
FIXED = (
    *("catalog.parquet", "held.parquet", ".incoming", ".turns", "records", "features"),
    *(".records.json", ".features.json", ".catalog.json", ".loaded.json"),
)


def findings(chronicle: Chronicle, folder: Path) -> list[str]:
    """What is lost, doubled, damaged or left lying about."""
    (root,) = (folder / "lake").iterdir()
    lake, warehouse = landed(root), loaded(folder)
    return [
        *_rows(chronicle, root, folder, lake, warehouse),
        *_tables(lake, warehouse),
        *(item.problem for item in audited(folder / "lake") if item.problem),
        *_leftovers(folder, root),
    ]


def _rows(
    chronicle: Chronicle,
    root: Path,
    folder: Path,
    lake: dict[tuple[str, str], Found],
    warehouse: dict[str, Found],
) -> Iterator[str]:
    listed, marked = held(folder, root)
    if listed != (marked or []):
        yield f"_held has {len(marked or [])} rows, held.parquet {len(listed)}"
    kept = {(row["kind"], row["dataset_id"]) for row in listed}
    now = {name: dataset for name, dataset in chronicle.pages if dataset}
    now = {name: now[name] for name, dataset in dict(chronicle.pages).items() if dataset}
    shown = {name for name, dataset in now.items() if dataset.data_visible}
    for name in sorted(shown):
        partition, dataset = lake.get(("records", name)), now[name]
        if ("records", name) in kept:
            yield f"{name} is held, and the portal shows it"
        if partition is None or not chronicle.is_held(partition, dataset):
            yield f"the partition of {name} is {(partition and 'another version') or 'lost'}"
    for place, partition in lake.items():
        uid = partition.uid
        if place[1] in shown:
            continue
        if place not in kept:
            yield f"the portal does not show {place}, which is not held"
        if not any(chronicle.is_held(partition, old) for old in chronicle.versions(uid)):
            yield f"{place} is held, and was never like that"
    for owner in sorted({(place[0], found.uid) for place, found in lake.items()}):
        names = [name for (kind, name), found in lake.items() if (kind, found.uid) == owner]
        if len(names) > 1:
            yield f"{owner} is landed as {names}"


def _tables(lake: dict[tuple[str, str], Found], warehouse: dict[str, Found]) -> Iterator[str]:
    named = {
        name if kind == "records" else f"{name}__features": found
        for (kind, name), found in lake.items()
    }
    for name in sorted({*named} ^ {*warehouse}):
        yield f"{name} is {'landed and not loaded' if name in named else 'loaded and not landed'}"
    for name in sorted({*named} & {*warehouse}):
        one, other = named[name], warehouse[name]
        if one.rows != other.rows or {*dict(one.columns)} != {*dict(other.columns)}:
            yield f"the table {name} is not what is landed"


def _leftovers(folder: Path, root: Path) -> Iterator[str]:
    known = {"lake", "warehouse.duckdb"}
    yield from (f"{path.name} was left" for path in folder.iterdir() if path.name not in known)
    yield from (f"{path.name} was left" for path in root.iterdir() if path.name not in FIXED)
    for below in (".incoming", "records", "features"):
        for path in (root / below).glob("*"):
            if below == ".incoming" or path.suffix != ".parquet" or not path.is_file():
                yield f"{below}/{path.name} was left"
