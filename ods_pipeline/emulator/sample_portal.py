"""Fills a portal with the sample: datasets recorded on disk, and a made-up private one.

Datasets of any number or size that are computed when they are read belong to `datasets`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ods_pipeline.emulator.admin_verbs import AdminVerbs
from ods_pipeline.emulator.datasets.file_values import picture
from ods_pipeline.emulator.datasets.metadata import dataset_from_document
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.files import StoredFile

HERE = Path(__file__).parent
# An installed wheel carries the folder inside the package; a checkout has it under data.
FOLDERS = (HERE / "portal", HERE.parents[1] / "data" / "portal")

USER, PASSWORD, KEY = "sample", "sample", "sample-key"
APPLICATION, SECRET = "sample-application", "sample-secret"
REDIRECT = "http://127.0.0.1:8766/callback"
PRIVATE_DATASET = "staff-only-counters"
PRIVATE_ROWS = 20
# The same whenever the sample is loaded: nothing has happened to it since.
PUBLISHED = "2026-09-01T06:00:00+00:00"
PRIVATE_FIELDS = (
    {"name": "code", "type": "text", "label": "Code", "description": "Leading zeros kept"},
    {"name": "passages", "type": "int", "label": "Passages"},
    {"name": "day", "type": "date", "label": "Day"},
    {"name": "geo_point_2d", "type": "geo_point_2d", "label": "Location"},
)
PRIVATE_METADATA: dict[str, Any] = {
    "title": "Counters, for staff alone",
    "description": "<p>Made up: bicycle counters that only the sample user sees.</p>",
    "publisher": "The emulator",
    "license": "CC0",
    "geometry_types": ["Point"],
    "modified": PUBLISHED,
    "data_processed": PUBLISHED,
    "metadata_processed": PUBLISHED,
}


def load(portal: AdminVerbs) -> None:
    """Publish the recorded datasets and the private one, with the accounts that may see it."""
    _publish_recorded(portal.state)
    _publish_private(portal)


def sample_folder() -> Path:
    """The folder of the recorded datasets."""
    for folder in FOLDERS:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the sample portal is in none of {', '.join(map(str, FOLDERS))}")


def _publish_recorded(state: State) -> None:
    for path in sorted(sample_folder().glob("*/dataset.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        file = path.with_name("records.parquet")
        columns = len(document["fields"])
        relation = state.store.view_of_file(file, columns) if file.exists() else ""
        relation = relation or state.store.create_view("SELECT 1 WHERE false")
        document["attachments"] = [_here(path, entry) for entry in document["attachments"]]
        dataset = dataset_from_document(document, relation)
        files = _made_up_pictures(file, document) | _made_up_documents(document)
        state.put(replace(dataset, files=files))


def _here(path: Path, attachment: Mapping[str, Any]) -> dict[str, Any]:
    """An attachment that this portal serves; recorded was an address of the portal of origin."""
    return {**attachment, "url": f"odsfile://{path.parent.name}/{attachment['id']}"}


def _made_up_documents(document: Mapping[str, Any]) -> dict[str, StoredFile]:
    """A workbook for each attachment: what was recorded of these is where they were."""
    entries = document["attachments"]
    content = (sample_folder() / "document.xlsx").read_bytes() if entries else b""
    moment = datetime.fromisoformat(PUBLISHED)
    return {
        f"attachments/{entry['id']}": StoredFile(content, moment, entry["mimetype"])
        for entry in entries
    }


def _made_up_pictures(records: Path, document: Mapping[str, Any]) -> dict[str, StoredFile]:
    """A picture for each file that records point to: the photographs were not recorded."""
    columns = [number for number, field in enumerate(document["fields"]) if field["type"] == "file"]
    found: dict[str, StoredFile] = {}
    if columns:
        schema = pq.read_schema(records)
        table = pq.read_table(records, columns=[schema.names[number] for number in columns])
        for column in table.columns:
            for text in filter(None, column.to_pylist()):
                name = json.loads(text)["id"]
                found[f"files/{name}"] = StoredFile(
                    picture(name), datetime.fromisoformat(PUBLISHED), "image/png"
                )
    return found


def _publish_private(portal: AdminVerbs) -> None:
    portal.add_user(USER, PASSWORD, [PRIVATE_DATASET])
    portal.add_key(KEY, USER)
    portal.add_application(APPLICATION, SECRET, REDIRECT)
    rows = [_private_row(number) for number in range(PRIVATE_ROWS)]
    portal.publish(
        PRIVATE_DATASET, fields=PRIVATE_FIELDS, records=rows, metas=PRIVATE_METADATA, hidden=True
    )


def _private_row(number: int) -> dict[str, Any]:
    return {
        "code": f"{number * 7:05}",
        "passages": number * 131 % 997,
        "day": (date(2026, 8, 1) + timedelta(days=number)).isoformat(),
        "geo_point_2d": {"lon": 2.3 + number / 100, "lat": 48.8 + number / 200},
    }
