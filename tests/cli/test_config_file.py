"""`ods-pipeline.toml`: several portals with their tables, for the command line."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.cli.config_file import read_config
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from tests import person
from tests.desk import FIELDS, rows


@pytest.fixture(scope="module")
def portals() -> Iterator[tuple[Emulator, Emulator]]:
    with Emulator(sample=False) as one, Emulator(sample=False) as two:
        for emulator in (one, two):
            for name in ("bikes-a", "bikes-b", "roads"):
                emulator.publish(name, fields=FIELDS, records=rows(5))
        two.add_user("ann", "pw")
        two.add_key("the-key", "ann")
        yield one, two


@pytest.fixture
def folder(portals: tuple[Emulator, Emulator], tmp_path: Path) -> Path:
    one, two = portals
    (tmp_path / "ods-pipeline.toml").write_text(
        f"""
data_dir = "kept"

[portals.one]
portal = "{one.url}"
datasets = {{ include = ["bikes-*"], exclude = ["*-b"] }}
trust = {{ max_shrink = 10 }}

[portals.two]
portal = "{two.url}"
api_key = {{ env = "TWO_KEY" }}

[portals.two.tables.roads]
where = "n >= 3"
select = ["n"]
contract = "freeze"
"""
    )
    return tmp_path


def typed(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return person.typed(folder, *words, **{"TWO_KEY": "the-key", **settings})


def landed(folder: Path, emulator: Emulator) -> list[str]:
    lake = folder / "kept" / "lake" / Address.parse(emulator.url).slug
    return sorted(path.stem for path in lake.glob("records/*.parquet"))


def test_all_portals_of_the_file_are_synced_with_what_it_names(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    one, two = portals
    two.requests.clear()
    done = typed(folder, "sync")
    assert done.returncode == 0, done.stdout + done.stderr
    assert landed(folder, one) == ["bikes-a"]
    assert landed(folder, two) == ["roads"]
    (path,) = (folder / "kept").glob("lake/*/records/roads.parquet")
    table = pq.read_table(path)
    assert table.column_names == ["n"]
    assert sorted(table.column("n").to_pylist()) == [3, 4]
    assert {request.headers.get("authorization") for request in two.requests} == {"Apikey the-key"}
    with duckdb.connect(folder / "kept" / "warehouse.duckdb", read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert {"bikes-a", "roads"} <= {name for (name,) in tables}
    again = json.loads(typed(folder, "sync", "--json").stdout)
    counts = [portal["counts"] for portal in again["portals"]]
    assert counts == [{"unchanged": 1}, {"unchanged": 1}]


def test_one_portal_is_chosen_by_its_name_or_its_address(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    one, two = portals
    by_name = typed(folder, "--portal", "one", "plan")
    assert "bikes-a" in by_name.stdout
    assert "roads" not in by_name.stdout
    by_address = typed(folder, "plan", ODS_PORTAL=two.url)
    assert "roads" in by_address.stdout
    assert "bikes" not in by_address.stdout
    assert typed(folder, "--portal", one.url, "sync", "--json").returncode == 0


def test_a_name_on_the_command_line_goes_before_the_file_and_an_option_too(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    plan = typed(folder, "--portal", "one", "plan", "roads")
    assert "roads" in plan.stdout
    assert "bikes" not in plan.stdout
    more = typed(folder, "--portal", "two", "sync", "--rows", "n = 4", "--json")
    (dataset,) = json.loads(more.stdout)["datasets"]
    assert (dataset["dataset_id"], dataset["rows"]) == ("roads", 1)


def test_what_the_file_trusts_is_trusted_unless_an_option_says_otherwise(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    one, _ = portals
    assert typed(folder, "--portal", "one", "sync").returncode == 0
    one.publish("bikes-a", records=rows(4))
    held = json.loads(typed(folder, "--portal", "one", "sync", "--json").stdout)
    assert held["datasets"][0]["verdict"] == "shrunk"
    assert held["datasets"][0]["to_accept"] == "ods-pipeline --portal one sync bikes-a --accept"
    one.republish("bikes-a")
    taken = typed(folder, "--portal", "one", "sync", "--max-shrink", "50", "--json")
    assert json.loads(taken.stdout)["datasets"][0]["action"] == "landed"
    one.publish("bikes-a", records=rows(5))


def test_a_portal_that_fails_does_not_stop_the_others(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    file = folder / "ods-pipeline.toml"
    file.write_text(file.read_text().replace(portals[0].url, "http://127.0.0.1:9"))
    done = typed(folder, "sync")
    assert done.returncode == 1
    assert "ods-pipeline: one: " in done.stderr
    planned = typed(folder, "plan", "--json")
    *datasets, failed = json.loads(planned.stdout)
    assert (planned.returncode, {item["portal"] for item in datasets}) == (1, {"two"})
    assert failed["portal"] == "one"
    assert "cannot be reached" in failed["error"]
    assert landed(folder, portals[1]) == ["roads"]


def test_a_portal_whose_variable_is_missing_does_not_stop_the_others(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    done = person.typed(folder, "sync", "--json")
    assert done.returncode == 1
    assert landed(folder, portals[0]) == ["bikes-a"]
    sentence = "ods-pipeline.toml: portals.two: api_key is to come from the environment variable"
    assert sentence in done.stderr
    assert json.loads(done.stdout)["portals"][1]["error"].startswith(sentence)


def test_commands_about_one_portal_say_which_names_there_are(folder: Path) -> None:
    for command in ("catalog", "doctor", "whoami"):
        done = typed(folder, command)
        assert done.returncode == 2
        assert "choose one with --portal (one, two)" in done.stderr
    assert typed(folder, "verify").returncode == 0


def test_a_key_from_the_environment_is_sent_to_no_portal_that_does_not_name_it(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    for words in ([], ["--portal", "one"], ["--portal", "two"]):
        for emulator in portals:
            emulator.requests.clear()
        typed(folder, *words, "plan", ODS_API_KEY="for-another-portal")
        sent = [r.headers.get("authorization") for e in portals for r in e.requests]
        assert set(sent) <= {None, "Apikey the-key"}
    portals[1].requests.clear()
    typed(folder, "--portal", "two", "--api-key", "typed", "plan")
    assert portals[1].requests[0].headers.get("authorization") == "Apikey typed"


def test_schema_and_tables_are_called_as_the_file_says(folder: Path) -> None:
    file = folder / "ods-pipeline.toml"
    text = file.read_text().replace("[portals.two]", '[portals.two]\nschema = "second"')
    file.write_text(text.replace('select = ["n"]', 'select = ["n"]\ntable = "ways"'))
    assert typed(folder, "--portal", "two", "sync").returncode == 0
    with duckdb.connect(folder / "kept" / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM second.ways").fetchall() == [(2,)]


def test_a_name_that_the_file_lacks_is_no_address(folder: Path) -> None:
    done = typed(folder, "--portal", "tow", "plan")
    assert done.returncode == 2
    assert "has no portal 'tow': choose one of one, two, or an address" in done.stderr


def test_datasets_are_named_of_one_portal(folder: Path) -> None:
    done = typed(folder, "sync", "roads")
    assert done.returncode == 2
    assert "choose one with --portal (one, two)" in done.stderr


def test_a_dotenv_file_in_another_encoding_is_one_sentence(folder: Path) -> None:
    (folder / ".env").write_bytes("A=b\n".encode("utf-16"))
    done = typed(folder, "plan")
    assert done.returncode == 2
    assert ".env is not UTF-8" in done.stderr


def test_variables_of_a_dotenv_file_are_read(
    folder: Path, portals: tuple[Emulator, Emulator]
) -> None:
    (folder / ".env").write_text("TWO_KEY=the-key\nODS_PORTAL=two\n")
    portals[1].requests.clear()
    done = person.typed(folder, "plan")
    assert done.returncode == 0, done.stderr
    assert "roads" in done.stdout
    assert portals[1].requests[0].headers.get("authorization") == "Apikey the-key"


def test_a_variable_that_is_not_set_is_named(folder: Path) -> None:
    done = person.typed(folder, "--portal", "two", "plan")
    assert done.returncode == 2
    assert "api_key is to come from the environment variable TWO_KEY, which is not set" in (
        done.stderr
    )


WRONG = [
    ("", "has no portals: begin one with [portals.NAME]"),
    ("[portals.a]\n", "portals.a.portal is missing"),
    ("[portals.a]\nportal = 'a.test'\ndatasetz = {}\n", "did you mean 'datasets'?"),
    ("[portals.a]\nportal = 'a.test'\nzzz = 1\n", "portals.a.zzz is no key here; its keys are"),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\nwher = 'a'\n",
        "portals.a.tables.x.wher is no key here; did you mean 'where'?",
    ),
    (
        "[portals.a]\nportal = 'a.test'\ntrust = { max_shrink = 101 }\n",
        "portals.a.trust.max_shrink: 101.0 is no percentage: give 0 to 100",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\ntypes = { n = 'number' }\n",
        "portals.a.tables.x.types: 'number' is no type for the field 'n'",
    ),
    ("[portals.a]\nportal = 'http://'\n", "portals.a.portal: "),
    ("[portals.a-b]\nportal = 'a.test'\n", "other characters than letters, digits, _"),
    ("[portals.a\n", "is no TOML"),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.b]\nportal = 'https://A.test'\n",
        "a and b are one portal",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.'x-*']\nwhere = 'n > 1'\n",
        "'x-*' is a pattern",
    ),
    ("[portals.a]\nportal = 'a.test'\ndatasets = { include = [] }\n", "includes nothing"),
    ("[portals.a]\nportal = 'http://u:p@a.test'\n", "holds no credentials"),
    ("warehouse = 'postgresql://u:p@h/d'\n", "a password is not written out"),
    ("state = 'postgresql://u:p@h/d'\n", "leave it out and set ODS_STATE"),
    (
        "[portals.a]\nportal = 'a.test'\n"
        "oauth2 = { client_id = 'c', token_file = 'postgresql://u:p@h/d' }\n",
        "a password is not written out",
    ),
    (
        "[portals.a]\nportal = 'a.test'\nschema = 'Town-1'\n",
        "portals.a.schema: the schema 'Town-1' is not made of",
    ),
    (
        "[portals.a]\nportal = 'a.test'\nschema = 'pg_catalog'\n",
        "the schema pg_catalog is the database's own",
    ),
    (
        "[portals.a]\nportal = 'a-b.test'\n[portals.b]\nportal = 'b.test'\nschema = 'a_b_test'\n",
        "a and b would both fill the schema a_b_test",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\ntable = '_Held'\n",
        "portals.a.tables.x.table: the table _Held is kept for the warehouse's own use",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\ntable = 'y__features'\n",
        "a name that ends in __features is the table's of a dataset's features",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables]\n"
        "x = { table = 'z' }\ny = { table = 'Z' }\n",
        "x and y would both be the table Z",
    ),
    ("[portals.a]\nportal = 'a.test'\ndatasets = ['x']\n", "datasets: a block of keys belongs"),
    ("[portals.a]\nportal = 'a.test'\ndatasets = { include = 'x' }\n", "a list belongs here"),
    ("[portals.a]\nportal = 'a.test'\ndatasets = { exclude = [''] }\n", "names nothing"),
    ("[portals.a]\nportal = 'a.test'\nsensor = {}\n", "a key of Dagster's YAML alone"),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\nlang = 'xx'\n",
        "portals.a.tables.x.lang: the API has no language 'xx'",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\ntimezone = 'Mars'\n",
        "portals.a.tables.x.timezone: there is no time zone 'Mars'",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\nwhere = ' '\n",
        "portals.a.tables.x.where: it is blank",
    ),
    (
        "[portals.a]\nportal = 'a.test'\n[portals.a.tables.x]\ntable = \"a\\nb\"\n",
        "no control characters",
    ),
    (
        "[portals.a]\nportal = 'a.test'\napi_key = { env = 'K' }\noauth2 = { client_id = 'c' }\n",
        "portals.a: a portal takes api_key or oauth2: leave one of them out",
    ),
    ("portal = 'a.test'\n", "portal is no key here; did you mean 'portals'?"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_an_error_names_file_key_and_what_would_be_right(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_config(file)
    assert str(raised.value).startswith(f"{file}")
    assert sentence in str(raised.value)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for line in ("api_key = 'hunter2'", "oauth2 = { client_id = 'a', client_secret = 'hunter2' }"):
        file.write_text(f"[portals.a]\nportal = 'a.test'\n{line}\n")
        with pytest.raises(ConfigurationError, match="a secret is only named") as raised:
            read_config(file)
        assert "hunter2" not in str(raised.value)


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    done = person.typed(tmp_path, "--config", "no.toml", "plan")
    assert done.returncode == 2
    assert "there is no configuration file no.toml" in done.stderr
