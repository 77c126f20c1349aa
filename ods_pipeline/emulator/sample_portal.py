"""The sample portal: real datasets recorded on disk, read where they lie."""

from __future__ import annotations

import json
from pathlib import Path

from ods_pipeline.emulator.datasets.metadata import from_document
from ods_pipeline.emulator.datasets.state import State

HERE = Path(__file__).parent
# An installed wheel carries the folder inside the package; a checkout has it under data.
PLACES = (HERE / "portal", HERE.parents[1] / "data" / "portal")


def folder() -> Path:
    """Where the sample portal is."""
    for place in PLACES:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the sample portal is in none of {', '.join(map(str, PLACES))}")


def load(state: State) -> None:
    """Publish every dataset of the sample portal as it was recorded."""
    for path in sorted(folder().glob("*/dataset.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = path.with_name("records.parquet")
        relation = state.store.over_file(rows, len(document["fields"])) if rows.exists() else ""
        state.put(from_document(document, relation or state.store.define("SELECT 1 WHERE false")))
