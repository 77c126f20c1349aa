"""The versions of the Explore API that are read: where each is, and its replies as v2.1 has them.

Only what differs for reading is here. APIs that are not read are named in the catalog's room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

CATALOG = "/catalog/datasets"
#: What holds the parts of a page in v2.0, and each of them.
_PARTS: Mapping[str, str] = MappingProxyType({"datasets": "dataset", "records": "record"})


@dataclass(frozen=True)
class ApiVersion:
    """A version of the API at a path.

    Attributes:
        name: As Opendatasoft calls it.
        path: Where it begins.
        identifier: What ODSQL calls a dataset's `dataset_id` in the catalog.
        wrapped: Whether its replies wrap each dataset and each record with links.
    """

    name: str
    path: str
    identifier: str = "dataset_id"
    wrapped: bool = False

    @property
    def catalog(self) -> str:
        """The path of the catalog's pages."""
        return f"{self.path}{CATALOG}"

    def parameters(self, path: str, given: Mapping[str, object]) -> Mapping[str, object]:
        """Parameters as this version takes them: an order of datasets has another name in v2.0."""
        of_catalog = path == CATALOG or path.startswith("/catalog/exports")
        if of_catalog and given.get("order_by") == "dataset_id":
            return {**given, "order_by": self.identifier}
        return given

    def newest(self, body: Any) -> Any:
        """A reply in the shape that v2.1 gives it; what is not known stays as it is."""
        return _flat(body) if self.wrapped else body


NEWEST = ApiVersion("v2.1", "/api/explore/v2.1")
OLDER = (
    ApiVersion("v2.0", "/api/explore/v2.0", "datasetid", wrapped=True),
    ApiVersion("v2.0", "/api/v2", "datasetid", wrapped=True),
)


def is_page_of_older(body: Any) -> bool:
    """Whether a reply is a page of a catalog of v2.0: datasets, each wrapped with its links."""
    listed = body.get("datasets") if isinstance(body, dict) else None
    if not isinstance(listed, list) or "total_count" not in body:
        return False
    return all(isinstance(item, dict) and "dataset" in item for item in listed)


def _flat(body: Any) -> Any:
    if isinstance(body, list):
        return [_inner(item, "dataset") for item in body]
    if not isinstance(body, dict):
        return body
    for several, one in _PARTS.items():
        if isinstance(body.get(several), list):
            rest = {key: value for key, value in body.items() if key not in {several, "links"}}
            return {**rest, "results": [_inner(item, one) for item in body[several]]}
    return _inner(_inner(body, "dataset"), "record")


def _inner(item: Any, name: str) -> Any:
    """What is wrapped; groups were recorded with and without a wrapping."""
    found = item.get(name) if isinstance(item, dict) else None
    if not isinstance(found, dict):
        return item
    fields = found.get("fields")
    return fields if name == "record" and isinstance(fields, dict) else found
