"""Writes docs/api.md: each endpoint and parameter of the API's OpenAPI, and where Python has it.

`python -m tests.api_page` writes the page anew; tests/test_api_page.py compares it and tries all
that it says.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ods_pipeline.portal.exports.parameters import CatalogParameters, ExportParameters
from ods_pipeline.portal.portal import Portal

PAGE = Path("docs/api.md")
OPENAPI = Path("tests/fixtures/openapi/explore_v2.1.json")
PARAMETERS = {"ExportParameters": ExportParameters, "CatalogParameters": CatalogParameters}

#: The methods that ask each endpoint; the first that takes a parameter is its place.
_OF_DATASET = "/catalog/datasets/{dataset_id}"
METHODS = {
    "/catalog/datasets": ("query_catalog", "search"),
    "/catalog/exports": ("formats",),
    "/catalog/exports/{format}": ("catalog_export", "datasets", "catalog"),
    "/catalog/exports/csv": ("catalog_export",),
    "/catalog/exports/dcat{dcat_ap_format}": ("catalog_export",),
    "/catalog/facets": ("facets",),
    f"{_OF_DATASET}/records": ("query",),
    f"{_OF_DATASET}/exports": ("formats",),
    f"{_OF_DATASET}/exports/{{format}}": ("export", "records", "record_batches"),
    f"{_OF_DATASET}/exports/csv": ("export",),
    f"{_OF_DATASET}/exports/parquet": ("export",),
    f"{_OF_DATASET}/exports/gpx": ("export",),
    _OF_DATASET: ("metadata", "dataset"),
    f"{_OF_DATASET}/facets": ("facets",),
    f"{_OF_DATASET}/attachments": ("attachments",),
    f"{_OF_DATASET}/records/{{record_id}}": ("record",),
}
#: Parameters of a path that a method has under another name.
_RENAMED = {"dcat_ap_format": "format"}

_HEAD = """\
# Every endpoint of the API

Where each endpoint and parameter of Explore API v2.1 is in Python. All are methods of `Portal`,
whose docstrings say what comes back. The page is made from the API's own OpenAPI, and a test tries
each line.

```python
from ods_pipeline import Portal

portal = Portal("opendata.vancouver.ca")
portal.search("trees", limit=10)
portal.query("public-art", select="count(*) as works", group_by="type")
portal.facets("public-art", facet=["neighbourhood"])
portal.attachments("public-art")
with portal.export("public-art", "geojson", limit=10) as chunks:
    body = b"".join(chunks)
```

Records and groups that the API gives in pages end at 10,000 and 20,000; `query` and `search` say so
before they ask. `records` reads an export, which has no such limit. `export` and `catalog_export`
hand a body over as the portal writes it, unproven, in any of the portal's `formats`.
"""


def taken_by(method: str) -> set[str]:
    """The parameters that a method takes."""
    signature = inspect.signature(getattr(Portal, method))
    names: set[str] = set()
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (kind,) = (kind for key, kind in PARAMETERS.items() if key in str(parameter.annotation))
            names |= set(kind.__annotations__)
        else:
            names.add(name)
    return names


def places() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each endpoint with one of its parameters and the method that takes it; empty for none."""
    for path, endpoint in json.loads(OPENAPI.read_text())["paths"].items():
        for parameter in endpoint["parameters"]:
            name = _RENAMED.get(parameter["name"], parameter["name"])
            methods = METHODS.get(path, ())
            yield path, parameter, next((m for m in methods if name in taken_by(m)), "")


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    found = list(places())
    for path in json.loads(OPENAPI.read_text())["paths"]:
        methods = ", ".join(f"`Portal.{method}`" for method in METHODS[path])
        lines += [f"## `GET {path}`", "", f"{methods}", ""]
        rows = [(parameter, method) for where, parameter, method in found if where == path]
        if rows:
            lines += ["| parameter | where | values |", "|---|---|---|"]
        for parameter, method in rows:
            name = _RENAMED.get(parameter["name"], parameter["name"])
            lines.append(f"| `{parameter['name']}` | `{method}({name}=)` | {_values(parameter)} |")
        lines += [""] if rows else []
    return "\n".join(lines)


def _values(parameter: dict[str, Any]) -> str:
    found = [", ".join(f"`{value}`" for value in parameter.get("enum", ())).replace("|", "\\|")]
    found += [f"`{parameter['default']}` by default"] if "default" in parameter else []
    found += [f"up to {parameter['maximum']}"] if "maximum" in parameter else []
    return "; ".join(filter(None, found)).replace("\t", "\\t")


if __name__ == "__main__":
    PAGE.write_text(page())
