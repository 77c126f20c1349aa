"""`export` and `catalog --as`: files as the portal writes them, whole and counted or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests import person
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, rows


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
        emulator.publish("roads", FIELDS, rows(5), {"title": "Roads"})
        yield emulator


@pytest.fixture
def portal(served: Emulator) -> Iterator[Emulator]:
    yield served
    served.faults.clear()


def typed(folder: Path, portal: Emulator, *words: str) -> tuple[int, str, str]:
    done = person.typed(folder, *words, ODS_PORTAL=portal.url)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "geojson", "parquet"])
def test_an_export_is_a_file_of_the_datasets_name(
    portal: Emulator, tmp_path: Path, format: str
) -> None:
    status, told, _ = typed(tmp_path, portal, "export", "towns", "--as", format)
    assert (status, told.startswith(f"towns.{format}: ")) == (0, True)
    assert "20 records = live count 20" in told
    assert [path.name for path in tmp_path.iterdir()] == [f"towns.{format}"]


@pytest.mark.parametrize(("format", "name"), [("shp", "towns.zip"), ("turtle", "towns.ttl"),
                                              ("xlsx", "towns.xlsx")])  # fmt: skip
def test_a_file_has_the_portals_name_and_says_what_it_is_worth(
    portal: Emulator, tmp_path: Path, format: str, name: str
) -> None:
    status, told, _ = typed(tmp_path, portal, "export", "towns", "--as", format)
    worth = "unproven: nothing here counts what is in turtle"
    assert (status, told.startswith(f"{name}: ")) == (0, True)
    assert (worth if format == "turtle" else "20 records = live count 20") in told
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_catalog_has_every_format_of_the_portal(portal: Emulator, tmp_path: Path) -> None:
    status, told, _ = typed(tmp_path, portal, "catalog", "--as", "dcat_ap_de", "-o", "all.rdf")
    assert (status, "unproven: nothing here counts what is in dcat_ap_de" in told) == (0, True)
    assert b"http://www.w3.org/ns/dcat#Dataset" in (tmp_path / "all.rdf").read_bytes()


def test_an_export_may_be_a_part_with_parameters_in_a_folder(
    portal: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    words = ["--rows", "n >= 15", "--select", "code", "-o", "there", "--set", "delimiter=,"]
    more = ["--set", "with_bom=false", "--set", "order_by=code desc", "--json"]
    status, told, _ = typed(tmp_path, portal, "export", "towns", "--as", "csv", *words, *more)
    assert (status, json.loads(told)["records"]) == (0, 5)
    assert (tmp_path / "there" / "towns.csv").read_bytes().split() == [
        b"code",
        *(f"{number:05}".encode() for number in range(19, 14, -1)),
    ]


LIES = [
    Fault.cut(300),
    Fault.short_rows(1),
    Fault.header_only(),
    Fault.doubled(),
    Fault.html(as_data=True),
    Fault.appended_text(),
    Fault.appended_error(),
    Fault.text_instead(),
    Fault.empty_body(),
]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "geojson", "parquet"])
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.kind)
def test_what_is_not_whole_is_not_kept_and_the_old_file_stays(
    portal: Emulator, tmp_path: Path, lie: Fault, format: str
) -> None:
    old = tmp_path / "towns.out"
    old.write_text("of yesterday")
    portal.fail(f"towns/exports/{format}", lie, None)
    words = ["export", "towns", "--as", format, "-o", "towns.out"]
    status, told, said = typed(tmp_path, portal, *words)
    assert (status, told) == (1, ""), told
    assert said.startswith("ods-pipeline: ")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of yesterday"]


def test_a_catalog_is_exported_searched_and_filtered(portal: Emulator, tmp_path: Path) -> None:
    status, told, _ = typed(tmp_path, portal, "catalog", "--as", "json", "--search", "roads")
    assert (status, "1 datasets = live count 1" in told) == (0, True)
    (found,) = json.loads((tmp_path / "catalog.json").read_text())
    assert found["dataset_id"] == "roads"
    assert "towns" not in typed(tmp_path, portal, "catalog", "--search", "roads")[1]
    portal.fail("catalog/exports/json", Fault.fewer_datasets(1), None)
    status, _, said = typed(tmp_path, portal, "catalog", "--as", "json")
    assert (status, "1 datasets came where the portal counts 2" in said) == (1, True)


WRONG = [
    (["export", "roads", "--as", "shp"], "gives no export as 'shp': choose one of csv, json, jso"),
    (["export", "nowhere", "--as", "csv"], "does not know it"),
    (["export", "towns", "--as", "csv", "--set", "x=1"], "write NAME=VALUE with one of"),
    (["export", "towns", "--as", "csv", "--set", "limit=many"], "limit is a whole number"),
    (["export", "towns", "--as", "csv", "-o", "no/where.csv"], "in a folder where you may write"),
    (["export", "towns", "--as", "csv", "--rows", "no = 1"], "Unknown field"),
    (["catalog", "-o", "x"], "say which export with --as FORMAT"),
    (["catalog", "--as", "pdf"], "gives no export as 'pdf'"),
]


EMPTY = [
    ["export", "towns", "--as", ""],
    ["export", "towns", "--as", "csv", "--rows", ""],
    ["export", "towns", "--as", "csv", "--select", " "],
    ["export", "towns", "--as", "csv", "-o", ""],
    ["export", "towns", "--as", "csv", "--set", "where="],
    ["export", "", "--as", "csv"],
    ["catalog", "--search", ""],
    ["catalog", "--where", ""],
    ["catalog", "--as", ""],
    ["catalog", "--as", "csv", "-o", " "],
    ["catalog", "--as", "csv", "--set", "lang="],
]


@pytest.mark.parametrize("words", EMPTY)
def test_an_empty_value_is_an_error(portal: Emulator, tmp_path: Path, words: list[str]) -> None:
    portal.requests.clear()
    status, told, said = typed(tmp_path, portal, *words)
    assert (status, told) == (2, "")
    assert any(part in said for part in ("is empty: give it a value", "a value, or leave it out",
                                         "names no dataset"))  # fmt: skip
    assert not portal.requests
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["..", ".", "../records"])
def test_a_format_leads_to_no_other_page(portal: Emulator, tmp_path: Path, format: str) -> None:
    for words in (["export", "towns"], ["catalog"]):
        status, _, said = typed(tmp_path, portal, *words, "--as", format, "-o", "x")
        assert (status, "names no format" in said) == (2, True)
    assert not list(tmp_path.iterdir())


def test_every_filter_that_is_given_holds(portal: Emulator, tmp_path: Path) -> None:
    filters = ["--set", "where=n >= 15 or n = 0", "--set", "where=n < 18", "--rows", "n > 15"]
    words = ["export", "towns", "--as", "json", "--set", "order_by=n"]
    assert typed(tmp_path, portal, *words, *filters)[0] == 0
    assert [row["n"] for row in json.loads((tmp_path / "towns.json").read_text())] == [16, 17]
    one, other = "dataset_id = 'towns'", "dataset_id = 'roads'"
    for given in (["--where", other], ["--search", "roads"]):
        words = ["catalog", "--as", "json", "--set", f"where={one}", *given]
        assert "0 datasets = live count 0" in typed(tmp_path, portal, *words)[1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--select", "n", "--set", "select=code"], "give one of them"),
        (["--set", "lang=fr", "--set", "lang=de"], "lang was given before; give it once"),
    ],
)
def test_one_of_two_values_is_never_dropped(
    portal: Emulator, tmp_path: Path, given: list[str], sentence: str
) -> None:
    status, _, said = typed(tmp_path, portal, "export", "towns", "--as", "csv", *given)
    assert (status, sentence in said) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_cannot_be_exported_is_one_sentence(
    portal: Emulator, tmp_path: Path, words: list[str], sentence: str
) -> None:
    status, _, said = typed(tmp_path, portal, *words)
    assert status in {1, 2}
    assert sentence in said
    assert not list(tmp_path.iterdir())


def test_a_name_leads_to_no_other_folder(portal: Emulator, tmp_path: Path) -> None:
    portal.publish("..up", FIELDS, rows(2))
    assert typed(tmp_path, portal, "export", "..up", "--as", "json")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["up.json"]


def test_a_packed_export_is_kept_and_said_not_to_be_counted(
    portal: Emulator, tmp_path: Path
) -> None:
    words = ["export", "towns", "--as", "csv", "--set", "compressed=true"]
    status, told, _ = typed(tmp_path, portal, *words)
    assert (status, "unproven: packed csv is not counted" in told) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["towns.csv.gz"]


def test_the_same_query_is_counted_as_was_exported(portal: Emulator, tmp_path: Path) -> None:
    portal.requests.clear()
    words = ["--rows", "n >= 15", "--set", "lang=fr", "--set", "timezone=Europe/Paris"]
    assert typed(tmp_path, portal, "export", "towns", "--as", "csv", *words)[0] == 0
    asked = [r.query for r in portal.requests if r.path.endswith(("/csv", "/records"))]
    same = [{key: query[key] for key in ("where", "lang", "timezone")} for query in asked]
    assert same == [{"where": "n >= 15", "lang": "fr", "timezone": "Europe/Paris"}] * 2
