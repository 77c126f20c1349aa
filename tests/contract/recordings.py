"""The recorded replies on disk, and a portal that holds what the recorded portal held."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
VANCOUVER = RECORDED / "vancouver"
PARIS = RECORDED / "paris"
UKPN = RECORDED / "ukpn"


def body(name: str) -> bytes:
    """The recorded body of an exchange with opendata.vancouver.ca."""
    return next(VANCOUVER.glob(f"{name}.body.*")).read_bytes()


def head(name: str) -> dict[str, Any]:
    """The recorded URL, status and headers of the same exchange."""
    return json.loads((VANCOUVER / f"{name}.head.json").read_text())


def document(path: Path) -> Any:
    """A recorded JSON body."""
    return json.loads(path.read_text(encoding="utf-8"))


def split(text: str, known: list[str]) -> list[str] | None:
    """A joined list taken apart: the values may hold commas themselves."""
    found = []
    while text:
        value = max((k for k in known if text == k or text.startswith(k + ",")), key=len)
        found.append(value)
        text = text[len(value) + 1 :]
    return found or None


def catalog() -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """The 197 datasets of the recorded catalog: identifier and metadata templates."""
    facets = json.loads(body("facets-catalog"))["facets"]
    known = {f["name"]: [v["name"] for v in f["facets"]] for f in facets}
    text = body("catalog-export").decode()
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";")
    return [(row.pop("datasetid"), _templates(row, known)) for row in rows]


def _templates(row: dict[str, str], known: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for key, text in row.items():
        template, _, name = key.partition(".")
        values = known.get(name if template == "default" else key)
        made.setdefault(template, {})[name] = split(text, values) if values else _value(name, text)
    return made


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name == "bbox":
        return {"type": "Feature", "geometry": json.loads(text), "properties": {}}
    if name in ("metadata_languages", "geometry_types"):
        return text.split(",")
    if name == "records_count":
        return int(text)
    return text == "True" if text in ("True", "False") else text
