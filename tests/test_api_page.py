"""Every endpoint and parameter of the API's OpenAPI has a place in Python, and reaches the wire."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.portal import Portal
from tests.api_page import METHODS, PAGE, page, places
from tests.portal.answers import document, portal_of

PLACES = list(places())
#: A value of each parameter that is not its default; any text for the others.
VALUES: dict[str, Any] = {
    "dataset_id": "trees",
    "record_id": "one record",
    "format": "csv",
    "dcat_ap_format": "_ap_de",
    "limit": 7,
    "offset": 3,
    "refine": ["a:b", "c:d"],
    "exclude": ["a:b", "c:d"],
    "facet": ["a", "b"],
    "include_links": True,
    "include_app_metas": True,
    "use_labels": True,
    "compressed": True,
    "quote_all": True,
    "with_bom": False,
    "use_extension": False,
    "use_labels_in_exports": False,
    "epsg": 3857,
    "delimiter": "|",
}
#: What a method needs besides.
NEEDS = {
    "query": {"dataset_id": "trees"},
    "facets": {},
    "metadata": {"dataset_id": "trees"},
    "dataset": {"dataset_id": "trees"},
    "attachments": {"dataset_id": "trees"},
    "record": {"dataset_id": "trees", "record_id": "r"},
    "export": {"dataset_id": "trees", "format": "csv"},
    "catalog_export": {"format": "csv"},
}


def test_the_page_is_what_the_openapi_says() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.api_page"


def test_the_example_of_the_page_runs() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with Emulator() as emulator:
        found: dict[str, Any] = {}
        exec(source.replace("opendata.vancouver.ca", emulator.url), found)
    assert len(json.loads(found["body"])["features"]) == 10


def test_every_endpoint_has_methods_and_every_parameter_a_place() -> None:
    assert {path for path, *_ in PLACES} <= set(METHODS)
    assert not [(path, parameter) for path, parameter, method in PLACES if not method]


@pytest.mark.parametrize(
    ("path", "parameter", "method"),
    PLACES,
    ids=[f"{path}-{parameter['name']}" for path, parameter, _ in PLACES],
)
def test_a_parameter_reaches_the_portal(path: str, parameter: dict[str, Any], method: str) -> None:
    name = parameter["name"]
    value = VALUES.get(name, "some text")
    given = {**NEEDS.get(method, {}), **path_of(path, name, value)}
    if parameter["in"] == "query":
        given[name] = value
    asked: list[tuple[str, str]] = []

    def answer(called: str, query: Any) -> tuple[int, bytes]:
        asked.append((called, str(query.get(name, ""))))
        return document(BODY)

    with portal_of(answer) as there, suppress(OdsPipelineError):
        done = getattr(Portal(there.url), method)(**given)
        if hasattr(done, "__enter__"):
            with done as chunks:
                list(chunks)
    wanted = re.sub(r"{(\w+)}", lambda found: text_of(found[1]), path)
    last = value[-1] if isinstance(value, list) else value
    sent = "" if parameter["in"] == "path" else str(last).lower() if last in (True, False) else last
    assert (wanted, str(sent)) in asked


BODY = {"dataset_id": "trees", "results": [], "total_count": 0, "facets": [], "links": []}


def text_of(name: str) -> str:
    return str(VALUES[name]).replace(" ", "%20")


def path_of(path: str, name: str, value: Any) -> dict[str, Any]:
    """The format that an endpoint's path has; an identifier where the endpoint is a dataset's."""
    if path.endswith("dcat{dcat_ap_format}"):
        return {"format": f"dcat{VALUES['dcat_ap_format']}"}
    found: dict[str, Any] = {}
    if "{dataset_id}" in path:
        found["dataset_id"] = VALUES["dataset_id"]
    if "{record_id}" in path:
        found["record_id"] = VALUES["record_id"]
    if "/exports/" in path:
        last = path.rsplit("/", 1)[1]
        found["format"] = VALUES["format"] if last == "{format}" else last
    return found
