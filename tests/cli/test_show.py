"""`show`: what has landed at a glance, without a network, for people, programs and browsers."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.cli.page import page
from ods_pipeline.cli.show import facts, values
from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.landed import partition
from ods_pipeline.lake.overview import Overview, ShownColumn
from ods_pipeline.markup import plain
from tests import person
from tests.lake.landing import land
from tests.pages import Read, read
from tests.test_markup import TEXTS

Typed = Callable[..., subprocess.CompletedProcess[str]]
ART = "public-art"


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """Types commands in a folder in which the sample portal's art has landed; it is gone since."""
    folder = tmp_path_factory.mktemp("reader")
    with Emulator() as portal:
        first = person.typed(folder, "--portal", portal.url, "sync", ART, "--features")
        assert first.returncode == 0, first.stderr
    return lambda *words, **settings: person.typed(folder, *words, **settings)


def test_what_landed_is_told_without_a_portal(typed: Typed) -> None:
    done = typed("show", ART)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Public art"
    told = {line[:10].strip(): line[10:].strip() for line in lines[1:12]}
    assert told["rows"] == "665 records"
    assert told["proof"].startswith("665 rows = live count 665")
    assert any(line.split() == ["geom", "geo_shape", "Geom"] for line in lines)
    assert lines[-1].strip().endswith("┤ 2 km  123.23–123.03° W, 49.21–49.31° N")
    assert sum("\u2800" < character <= "\u28ff" for character in done.stdout) > 100


def test_programs_are_given_the_same(typed: Typed) -> None:
    told = json.loads(typed("show", ART, "--features", "--rows", "2", "--json").stdout)
    assert (told["dataset_id"], told["kind"], told["rows"]) == (ART, "features", 665)
    assert told["proven_by"] == "live count"
    assert told["held"] is None
    assert told["data_as_of"].endswith("+00:00")
    assert told["extent"] == pytest.approx([-123.23, 49.21, -123.03, 49.31], abs=0.01)
    assert len(told["first_rows"]) == 2
    assert {"gml_id", "registryid"} <= set(told["first_rows"][0])
    assert "geom" not in told["first_rows"][0]
    assert [field["name"] for field in told["fields"]][:2] == ["gml_id", "registryid"]


def test_without_a_dataset_all_that_landed_is_listed(typed: Typed) -> None:
    lines = typed("show").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:3]] == [ART, f"{ART} (features)"]
    listed = json.loads(typed("show", "--json").stdout)
    assert [(item["dataset_id"], item["kind"]) for item in listed] == [
        (ART, "records"),
        (ART, "features"),
    ]


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (["show", "public"], {}, "public has not landed; did you mean public-art?"),
        (["show"], {"ODS_DATA_DIR": "new"}, "nothing has landed in new yet: fetch something with"),
        (["show", ART], {"ODS_PORTAL": "paris.fr"}, "nothing of paris.fr has landed in data; name"),
        (["show", "--html", "x.html"], {}, "--html is a page of one dataset: name it"),
        (["show", ART, "--html", "no/x.html"], {}, "no/x.html cannot be written (No such file"),
        (["show", ART, "--rows", "-1"], {}, "Invalid value for '--rows'"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(
    typed: Typed, words: list[str], settings: dict[str, str], sentence: str
) -> None:
    done = typed(*words, **settings)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_of_several_portals_one_is_asked_for(tmp_path: Path) -> None:
    for portal in ("a.test", "b.test"):
        land(tmp_path / "data", portal, "trees", title=f"Trees of {portal}")
    done = person.typed(tmp_path, "show", "trees")
    assert done.returncode == 2
    assert "several portals have landed in data; name one of them, a.test or b.test" in done.stderr
    told = person.typed(tmp_path, "--portal", "b.test", "show", "trees")
    assert told.stdout.startswith("Trees of b.test\n")
    listed = person.typed(tmp_path, "show").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:3]] == ["a.test", "b.test"]


def test_an_error_is_json_too_where_json_is_asked_for(typed: Typed) -> None:
    done = typed("show", "public", "--json")
    assert done.returncode == 2
    assert "did you mean" in json.loads(done.stdout)["error"]


def stands_alone(text: str) -> Read:
    """Read a page, and refuse what would load, link or run anything."""
    found = read(text)
    for tag, attributes in found.tags:
        assert tag not in {"script", "a", "link", "iframe", "object", "form", "base"}
        assert not {name for name in attributes if name.startswith("on")}
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")
    assert [attributes for tag, attributes in found.tags if "http-equiv" in attributes]
    return found


def test_a_page_has_all_of_it_and_stands_alone(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "art.html"
    done = typed("show", ART, "--html", str(file))
    assert done.stdout == f"{file}: Public art\n"
    assert typed("show", ART, "--html", str(file), "--quiet").stdout == ""
    text = file.read_text(encoding="utf-8")
    found = stands_alone(text)
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert [image["alt"] for image in images] == [
        "Map of Public art: 123.23–123.03° W, 49.21–49.31° N"
    ]
    assert (images[0]["src"] or "").startswith("data:image/png;base64,")
    for told in ("Public art", "665 records", "geo_shape", "Open Government Licence"):
        assert told in found.text
    assert "color-scheme: light dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    folder = tmp_path_factory.mktemp("plain")
    rows = pa.table({"code": ["1"], "text": ["x"]})
    land(folder, "a.test", "trees", rows=rows)
    return Overview.of(partition(folder, "trees"), 5)


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_of_a_portal_is_more_than_text_on_a_page(
    overview: Overview, title: str, name: str, value: str
) -> None:
    receipt = replace(overview.landed.receipt, title=title, publisher=title, proof=value, note=name)
    told = replace(
        overview,
        landed=replace(overview.landed, title=plain(title) or "x", receipt=receipt),
        columns=(ShownColumn(name, "text", value, title, name),),
        names=(name,),
        rows=({name: value},),
    )
    found = stands_alone(page(told, facts(told, "t"), values(told)))
    for text in (title, name, value):
        assert "".join(plain(text).split()) in "".join(found.text.split())


VALUES: list[Any] = [None, True, 2**53 + 1, 1.5, "a\x1b[2J\nb", ["x", "y"], b"\x00"]


def test_values_are_one_line_each(tmp_path: Path) -> None:
    land(tmp_path, "a.test", "trees", rows=pa.table({f"c{n}": [v] for n, v in enumerate(VALUES)}))
    found = Overview.of(partition(tmp_path, "trees"), 5)
    assert values(found) == [
        ["", "True", "9007199254740993", "1.5", "a [2J b", "['x', 'y']", "b'\\x00'"]
    ]


@given(st.integers(0, 4))
@settings(max_examples=5)
def test_so_many_rows_are_read_as_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    land(folder, "a.test", "trees")
    found = Overview.of(partition(folder, "trees"), rows)
    assert len(found.rows) == min(rows, 3)
    assert found.names == ("code", "people")
    assert found.extent == pytest.approx((2, 48, 2.2, 48))
