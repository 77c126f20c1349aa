"""What the signatures of public names mention can be imported from a public place, by the page."""

import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ods_pipeline
from ods_pipeline import errors, lake, portal

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
#: Made by our methods, not by users: how they are constructed is nobody's business.
GIVEN = [
    portal.Wfs,
    portal.RecordStream,
    portal.RemoteFile,
    portal.Datasets,
    lake.LandedDataset,
    lake.LandedDatasets,
]
PUBLIC = [
    getattr(ods_pipeline, name) for name in ods_pipeline.__all__ if name != "OpendatasoftPortal"
]
#: Of Python and of libraries that users have beside ours.
OTHERS = re.compile(
    r"(pa|pd|np|dg|geopandas|pandas|polars|duckdb|shapely)\.\w+|Any|None|Self|Literal|Unpack|"
    r"Path|BinaryIO|datetime|Abstract\w+|Callable|Iterable|Iterator|Mapping|Sequence"
)


def mentioned(thing: Any) -> Iterator[tuple[str, str]]:
    """The types in the signatures of a function or of a class's public methods."""
    methods = {"": thing}
    if inspect.isclass(thing):
        found = {n: m for n, m in inspect.getmembers(thing, callable) if not n.startswith("_")}
        made = {} if thing in GIVEN else {"": thing}
        methods = {**found, **made}
    for name, method in methods.items():
        try:
            signature = inspect.signature(method)
        except ValueError:  # One of a list's own, in C.
            continue
        for item in (*signature.parameters.values(), signature):
            told = getattr(item, "annotation", None) or getattr(item, "return_annotation", None)
            if isinstance(told, str):
                without_texts = re.sub(r"'[^']*'|\"[^\"]*\"", "", told)
                for word in re.findall(r"(?:\w+\.)?\b[A-Z]\w+", without_texts):
                    yield f"{thing.__name__}.{name}", word


@pytest.mark.parametrize("thing", [*PUBLIC, *GIVEN], ids=lambda thing: thing.__name__)
def test_every_type_of_a_public_signature_has_a_public_place(thing: Any) -> None:
    places = {*ods_pipeline.__all__, *portal.__all__, *lake.__all__}
    homeless = {
        (where, word)
        for where, word in mentioned(thing)
        if word not in places and not OTHERS.fullmatch(word)
    }
    assert not homeless


@pytest.mark.parametrize("place", [portal, lake])
def test_a_type_of_public_signatures_can_be_imported(place: Any) -> None:
    assert all(getattr(place, name) for name in place.__all__)
    assert set(place.__all__) <= set(dir(place))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = place.nothing


@pytest.mark.parametrize("thing", [*PUBLIC, *GIVEN], ids=lambda thing: thing.__name__)
def test_every_error_that_a_public_docstring_names_is_a_public_one(thing: Any) -> None:
    docs = [inspect.getdoc(thing) or ""]
    docs += [inspect.getdoc(member) or "" for _, member in inspect.getmembers(thing, callable)]
    for doc in docs:
        raised = doc.partition("Raises:")[2].partition("Example:")[0]
        for name in re.findall(r"^ +([A-Z]\w+): ", raised, re.MULTILINE):
            assert hasattr(errors, name) or hasattr(builtins, name), name


def test_a_public_name_brings_no_more_along_than_it_needs() -> None:
    source = (
        "import sys; from ods_pipeline import Portal; from ods_pipeline.portal import Format; "
        "print({'dagster', 'duckdb', 'geopandas', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_every_public_name_of_signatures_is_on_the_page_of_python() -> None:
    page = PAGE.partition("## Types of signatures")[2]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.+) \|$", page, re.MULTILINE))
    for module in (ods_pipeline, portal, lake):
        named = re.findall(r"`(\w+)`", rows.pop(module.__name__))
        assert set(named) == set(module.__all__)
    assert list(rows) == ["ods_pipeline.errors"]


def test_the_page_on_python_has_every_form_of_what_landed() -> None:
    methods = {name for name in vars(ods_pipeline.Lake) if not name.startswith("_")}
    section = PAGE.partition("\n## What has landed\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)\((?:id)?\)`", section))
    assert named == methods
