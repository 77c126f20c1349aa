"""Asking an emulated portal over HTTP, and the dataset of every type that tests publish."""

from __future__ import annotations

from typing import Any

import requests

from ods_pipeline.emulator import Emulator

API = "/api/explore/v2.1"
EVERY_TYPE: list[dict[str, Any]] = [
    {"name": "code", "type": "text", "label": "Code INSEE", "annotations": {"facet": True}},
    {"name": "tags", "type": "text", "annotations": {"multivalued": [","], "facet": True}},
    {"name": "amount", "type": "int"},
    {"name": "share", "type": "double"},
    {"name": "day", "type": "date", "annotations": {"facet": True}},
    {"name": "built", "type": "date", "annotations": {"timeserie_precision": ["year"]}},
    {"name": "seen_at", "type": "datetime"},
    {"name": "active", "type": "boolean"},
    {"name": "point", "type": "geo_point_2d"},
    {"name": "shape", "type": "geo_shape"},
    {"name": "photo", "type": "file"},
    {"name": "extra", "type": "json_blob"},
]
LINE = {"coordinates": [[2.0, 48.0], [3.0, 49.0]], "type": "LineString"}
FULL: dict[str, Any] = {
    "code": "01001",
    "tags": ["a", "b c"],
    "amount": 9007199254740993,
    "share": 0.1,
    "day": "2024-02-29",
    "built": "1977",
    "seen_at": "2024-07-01T10:00:00.250000+00:00",
    "active": True,
    "point": {"lon": 2.35, "lat": 48.85},
    "shape": {"type": "Feature", "geometry": LINE, "properties": {}},
    "photo": {"id": "abc", "filename": "a.jpg", "mimetype": "image/jpeg"},
    "extra": '{"a": 1}',
}
EMPTY: dict[str, Any] = dict.fromkeys(FULL)


def get(portal: Emulator, path: str, **params: Any) -> requests.Response:
    """GET a path of the API."""
    return requests.get(portal.url + API + path, params=params, timeout=60)


def ask(portal: Emulator, dataset_id: str, end: str, **params: Any) -> requests.Response:
    """GET an endpoint of a dataset."""
    return get(portal, f"/catalog/datasets/{dataset_id}/{end}", **params)


def count(portal: Emulator, dataset_id: str, **params: Any) -> int:
    """How many records match."""
    return ask(portal, dataset_id, "records", limit=0, **params).json()["total_count"]


def metas(portal: Emulator, dataset_id: str) -> dict[str, Any]:
    """The basic metadata of a dataset, as the API tells them."""
    return get(portal, f"/catalog/datasets/{dataset_id}").json()["metas"]["default"]
