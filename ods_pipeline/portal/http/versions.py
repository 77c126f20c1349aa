"""The versions of the Explore API that are read: where each is, and its replies as v2.1 has them.

Only what differs for reading is here. APIs that are not read are named in the catalog's room.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ods_pipeline.errors import ConfigurationError

CATALOG = "/catalog/datasets"
#: The catalog, or one dataset's page; not what is beside or below that.
_OF_METADATA = re.compile(rf"{CATALOG}(/[^/]+)?|/catalog/(exports/[^/]+|facets)")
#: Parameters that are ODSQL, in which a dataset's identifier may be named.
_CLAUSES = frozenset({"select", "where", "order_by", "group_by"})
_COLUMNS = frozenset({"select", "group_by"})
# What may hold the name and not mean it: texts, a column's new name, parts of other names.
_WORD = re.compile(
    r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\bas\s+`?\w+`?|[()]"""
    r"""|(?<![\w.])(?P<name>`dataset_id`|dataset_id(?![\w.]))""",
    re.IGNORECASE | re.DOTALL,
)
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
        """Parameters as this version takes them: v2.0 names the identifier of datasets otherwise.

        Raises:
            ConfigurationError: It would pass over one of them, and answer something else.
        """
        if not self.wrapped:
            return given
        if "/exports/" in path and given.get("group_by"):
            raise ConfigurationError(
                f"the portal speaks {self.name} of the API, whose exports have no group_by and "
                "give other rows without a word: ask for groups with Portal.query or query_catalog"
            )
        if _OF_METADATA.fullmatch(path):
            return {name: self._renamed(name, value) for name, value in given.items()}
        return given

    def _renamed(self, name: str, value: object) -> object:
        """A clause with this version's name of a dataset's identifier."""
        if name not in _CLAUSES or not isinstance(value, str):
            return value
        depth = 0

        def renamed(found: re.Match[str]) -> str:
            nonlocal depth
            depth += {"(": 1, ")": -1}.get(found[0], 0)
            if not found["name"]:
                return found[0]
            before, after = value[: found.start()].rstrip(), value[found.end() :].lstrip()
            whole = not depth and before[-1:] in {"", ","} and after[:1] in {"", ","}
            # A column keeps the name that was asked for.
            alias = " as dataset_id" if name in _COLUMNS and whole else ""
            return f"{self.identifier}{alias}"

        return _WORD.sub(renamed, value)

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
