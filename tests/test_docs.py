"""What the README and the pages of docs show is run: each command, query and snippet."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

import ods_pipeline
from ods_pipeline.cli.account import REDIRECT_URI
from ods_pipeline.emulator import Emulator
from ods_pipeline.sync.outcome import SOUND
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import Kind
from tests.person import answered, environment, typed, visited, waiting
from tests.ports import free_port
from tests.test_architecture import GROUND, PORTAL, ROOMS

ROOT = Path(__file__).parent.parent
#: In the order in which somebody new would read them.
READ = ("start", "whole-portal", "chosen-tables", "features", "trust", "python", "dagster")
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in (*READ, "troubleshooting")),
]
README = "".join(page.read_text() for page in PAGES)
EXAMPLES = ROOT / "examples"
CREDENTIALS = (ROOT / "docs" / "credentials.md").read_text()
DOMAIN = "data.economie.gouv.fr"
COMMANDS = Path(sys.executable).parent


def at_the_emulator(source: str, portal: Emulator) -> str:
    """The Python of a page, whichever portal it names, run on the sample portal."""
    schema = re.sub(r"[^a-z0-9]+", "_", portal.url.removeprefix("http://"))
    source = source.replace("opendata_paris_fr", schema)
    return re.sub(r'(?<=Portal\(")[a-z.]+', portal.url, source)


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def commands(page: str = README) -> list[str]:
    return re.findall(r"^\$ (.+)$", "".join(blocks("console", page)), re.MULTILINE)


#: Each is a process of its own, and some fifty of them take minutes on a busy machine.
of_many_commands = pytest.mark.timeout(2700)


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def synced(portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every `ods-pipeline` command of the README has been typed in its order."""
    folder = tmp_path_factory.mktemp("reader")
    for command in dict.fromkeys(commands()):
        words = shlex.split(command.replace("http://127.0.0.1:8765", portal.url))
        if words[0] == "ods-pipeline" and words[1] != "emulator":
            done = typed(folder, *words[1:], ODS_PORTAL=portal.url)
            assert done.returncode == 0, (command, done.stderr)
            assert done.stdout, command
    return folder


@of_many_commands
def test_every_command_of_the_readme_works_in_its_order(synced: Path) -> None:
    assert (synced / "data" / "warehouse.duckdb").is_file()
    assert list((synced / "data" / "lake").glob("*/records/public-art.parquet"))


def test_every_command_of_the_readme_is_one_that_these_tests_run() -> None:
    known = {"make", "source", "export", "ods-pipeline", "curl"}
    assert {shlex.split(command)[0] for command in commands()} == known


@of_many_commands
def test_the_query_of_the_readme_lists_the_tables(synced: Path) -> None:
    (query,) = blocks("sql")
    with duckdb.connect(synced / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        tables = dict(warehouse.execute(query).fetchall())
    assert "public-art" in tables
    assert tables["public-art"].startswith("Public art")


@of_many_commands
def test_the_python_of_the_readme_runs(
    portal: Emulator,
    synced: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(synced)
    shown = pages()["docs/downstream.md"].partition("The rest of this page is Dagster's")[0]
    for source in blocks("python") + blocks("python", shown):
        exec(compile(at_the_emulator(source, portal), "README.md", "exec"), {})
    assert "14 datasets" in capsys.readouterr().out


def test_the_yaml_of_the_readme_is_a_component() -> None:
    components = []
    for block in blocks("yaml"):
        told = yaml.safe_load(block)
        assert told["type"] == "ods_pipeline.OpendatasoftPortal"
        made = ods_pipeline.OpendatasoftPortal.from_attributes_dict(attributes=told["attributes"])
        assert made.portal == DOMAIN
        components.append(made)
    short, decided, trusted, watched, owned = components
    assert short.sensor.running
    assert owned.tables["rappelconso-v2-gtin-espaces"].asset.freshness == 24
    assert watched.sensor.running
    own = decided.settings().rules.table("rappelconso-v2-gtin-espaces")
    assert (own.bad_values, own.types, own.drift) == ("null", {"numero_fiche": "text"}, 1)
    assert decided.settings().rules.contract("rappelconso-v2-gtin-espaces") == "freeze"
    assert trusted.settings().rules == Rules(contracts=(("*", "evolve"), ("finance-*", "freeze")))


@pytest.mark.slow
@of_many_commands
def test_the_lines_on_dagster_end_in_a_loaded_table(portal: Emulator, tmp_path: Path) -> None:
    page = pages()["docs/dagster.md"]
    dataset = "velib-emplacement-des-stations"
    definitions = next(block for block in blocks("python", page) if "tables=" in block)
    (tmp_path / "definitions.py").write_text(definitions.replace("opendata.paris.fr", portal.url))
    lines = [shlex.split(line, comments=True) for line in "".join(blocks("sh", page)).splitlines()]
    others = {"pip", "export", "cd"}  # Of the shell; PYTHONPATH stands in for `pip install -e .`.
    folder, settings = tmp_path, environment(DAGSTER_HOME=str(tmp_path))
    for program, *words in lines:
        if program == "cd":
            folder = folder / words[0]
            settings |= {"DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(folder / "src")}
        elif program not in others and words[0] != "dev":
            typed = [
                word.replace("data.economie.gouv.fr", portal.url).replace(
                    "rappelconso-v2-gtin-espaces", dataset
                )
                for word in words
            ]
            done = subprocess.run(
                [COMMANDS / program, *typed],
                cwd=folder,
                env=settings
                | {
                    "DAGSTER_DISABLE_TELEMETRY": "1",
                    "PATH": f"{COMMANDS}:{settings['PATH']}",
                    "VIRTUAL_ENV": str(COMMANDS.parent),
                },
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    assert folder.name == "city"
    for place in (tmp_path, folder):
        with duckdb.connect(place / "data" / "warehouse.duckdb", read_only=True) as warehouse:
            (tables,) = zip(
                *warehouse.sql("SELECT table_name FROM duckdb_tables()").fetchall(), strict=True
            )
            assert dataset in tables


def test_what_the_page_on_downstream_shows_stands_in_the_example() -> None:
    paths = [path for kind in ("py", "yaml", "yml") for path in EXAMPLES.rglob(f"*.{kind}")]
    files = [path.read_text(encoding="utf-8") for path in paths]
    page = pages()["docs/downstream.md"].partition("The rest of this page is Dagster's")[2]
    shown = re.findall(r"```\w+\n(.*?)```", page, re.DOTALL)
    assert len(shown) > 5
    assert [part for part in shown if not any(part in file for file in files)] == []


def test_the_file_of_chosen_tables_makes_the_table_that_the_page_names(
    portal: Emulator, tmp_path: Path
) -> None:
    (shown,) = blocks("toml")
    address = 'portal = "opendata.vancouver.ca"'
    assert address in shown
    told = shown.replace(address, f'portal = "{portal.url}"')
    (tmp_path / "ods-pipeline.toml").write_text(told, encoding="utf-8")
    for command in ("plan", "sync"):
        subprocess.run([COMMANDS / "ods-pipeline", command], cwd=tmp_path, check=True)
    with duckdb.connect(tmp_path / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        murals = warehouse.sql("FROM city.murals")
        kinds = dict(zip(murals.columns, map(str, murals.types), strict=True))
        assert kinds["registryid"] == "VARCHAR"
        assert set(murals.aggregate("type, count(*)").fetchall()) == {("Mural", 111)}


def test_every_filter_of_chosen_tables_lets_some_records_through_and_not_all(
    portal: Emulator,
) -> None:
    page = pages()["docs/chosen-tables.md"].partition("| filter | records |")[2]
    filters = re.findall(r"^\| `(.+?)` \|", page.partition("\n\n")[0], re.MULTILINE)
    assert len(filters) == 5
    asked = ods_pipeline.Portal(portal.url)
    for where in filters:
        (count,) = asked.query("public-art", select="count(*) as n", where=where)["n"].to_pylist()
        assert 0 < count < 665, where


def test_the_glossary_has_every_verdict_and_every_outcome() -> None:
    page = pages()["docs/glossary.md"]
    for title, words in (("What a dataset needs", Kind), ("What came of it", SOUND)):
        section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
        listed = re.findall(r"^\| (`.+`) \|", section, re.MULTILINE)
        assert {word for row in listed for word in re.findall(r"`(.+?)`", row)} >= set(words)


@pytest.mark.slow
def test_the_python_on_iceberg_reads_a_layer_from_its_table(
    portal: Emulator, tmp_path: Path
) -> None:
    settings = environment(
        ODS_PORTAL=portal.url,
        ODS_WAREHOUSE="iceberg:city",
        PYICEBERG_CATALOG__CITY__URI=f"sqlite:///{tmp_path / 'catalog.db'}",
        PYICEBERG_CATALOG__CITY__WAREHOUSE=f"file://{tmp_path / 'tables'}",
    )
    sync = [COMMANDS / "ods-pipeline", "sync", "weather-stations"]
    subprocess.run(sync, cwd=tmp_path, env=settings, check=True)
    shown, _dlt = blocks("python", pages()["docs/warehouses.md"])
    schema = re.sub(r"[^a-z0-9]+", "_", portal.url.removeprefix("http://"))
    source = shown.replace('("data_example", "trees")', f'("{schema}", "weather-stations")')
    source = source.replace("geo_point_2d", "geolocation")
    told = subprocess.run(
        [sys.executable, "-c", f"{source}\nprint(layer.crs, len(layer), layer.total_bounds)"],
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.startswith("OGC:CRS84 100 [150.8")


def test_a_screen_that_a_page_shows_is_one_that_was_seen() -> None:
    screens = [path.read_text() for path in (ROOT / "tests/fixtures/terminal").iterdir()]
    shown = [block for block in blocks("text") if block.startswith("dataset ")]
    assert shown
    assert all(any(block in screen for screen in screens) for block in shown)


def test_make_has_every_target_that_the_readme_names() -> None:
    named = {words[1] for command in commands() if (words := shlex.split(command))[0] == "make"}
    named |= set(re.findall(r"`make ([a-z-]+)`", README))
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"make {target} " in listed for target in named)


def test_the_emulator_is_edited_over_http_as_the_readme_says(portal: Emulator) -> None:
    calls = [
        shlex.split(command.partition(" | ")[0])[1:]
        for command in commands()
        if command.startswith("curl")
    ]
    for *options, url in calls:
        method = options[1] if options else "GET"
        address = url.replace("http://127.0.0.1:8765", portal.url)
        request = urllib.request.Request(address, method=method)
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200


def test_the_demo_ends_with_queries_a_run_of_one_request_and_a_map(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ods_pipeline.cli.demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "19 landed, 3 skipped" in done.stdout
    assert "19 unchanged, 3 skipped; 1 request" in done.stdout
    assert "public-art.geojson: 1.1 MB, 665 records = live count 665" in done.stdout
    assert "GEOMETRY('OGC:CRS84')" in done.stdout
    assert sum("\u2800" < character <= "\u28ff" for character in done.stdout) > 100
    assert (tmp_path / "data" / "demo" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert done.stderr == ""


def test_help_teaches_every_command_of_the_readme() -> None:
    done = subprocess.run(
        [COMMANDS / "ods-pipeline", "--help"], capture_output=True, text=True, check=True
    )
    for command in commands() + commands(CREDENTIALS):
        if command.startswith("ods-pipeline "):
            assert f"\n  {shlex.split(command)[1]} " in done.stdout


class Reader:
    """Types a section's commands as they stand, in a folder of its own; a person consents."""

    def __init__(self, portal: Emulator, folder: Path) -> None:
        self.portal, self.folder = portal, folder
        self.settings = {"BROWSER": shutil.which("true") or ""}
        # Other tests may use the port that the page names.
        self.redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
        portal.add_key("your-api-key", "sample")
        for name, secret in (("your-client-id", "your-client-secret"), SAMPLE):
            portal.add_application(name, secret, self.redirect_uri)

    def types(self, command: str) -> None:
        words = shlex.split(command)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.settings[name] = self.portal.url if name == "ODS_PORTAL" else value
        elif words[:2] == ["ods-pipeline", "login"]:
            self._logs_in(words[2:])
        elif words[0] == "ods-pipeline":
            self.runs(COMMANDS / words[0], *words[1:])

    def runs(self, *words: str | Path) -> str:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment(**self.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout, words
        return done.stdout

    def _logs_in(self, words: list[str]) -> None:
        redirection = ("--redirect-uri", self.redirect_uri)
        with waiting(self.folder, *words, *redirection, **self.settings) as command:
            visited(answered(command.consent_url, who="sample"))
            assert command.ends()[0] == 0, command.said


SAMPLE = ("sample-application", "sample-secret")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", CREDENTIALS, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("title", [title for title, text in SECTIONS.items() if commands(text)])
def test_every_section_on_credentials_works_as_it_stands(title: str, tmp_path: Path) -> None:
    section = SECTIONS[title]
    with Emulator() as portal:
        reader = Reader(portal, tmp_path)
        for command in commands(section):
            assert shlex.split(command)[0] in {"export", "ods-pipeline", "ssh"}
            if command != "ods-pipeline logout":
                reader.types(command)
        for source in blocks("python", section):
            assert "15 datasets" in reader.runs(
                sys.executable, "-c", at_the_emulator(source, portal)
            )
        if "ods-pipeline sync" in section:
            assert list(tmp_path.glob("data/lake/*/records/staff-only-counters.parquet"))
        if "$ ods-pipeline logout" in section:
            reader.types("ods-pipeline logout")


def test_the_yaml_on_credentials_is_a_component() -> None:
    key, oauth2 = (yaml.safe_load(block) for block in blocks("yaml", CREDENTIALS))
    for told in (key, oauth2):
        assert told["type"] == "ods_pipeline.OpendatasoftPortal"
        attributes = told["attributes"]
        made = ods_pipeline.OpendatasoftPortal.from_attributes_dict(attributes=attributes)
        settings = made.settings()
        assert bool(settings.api_key) == ("api_key" in attributes)
        assert bool(settings.oauth2) == ("oauth2" in attributes)


def test_the_redirection_url_to_register_is_the_same_everywhere() -> None:
    assert f"exactly `{REDIRECT_URI}`" in CREDENTIALS
    told = subprocess.run(
        [COMMANDS / "ods-pipeline", "login", "--help"], capture_output=True, text=True, check=True
    )
    assert REDIRECT_URI in told.stdout


def pages() -> dict[str, str]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in found}


def anchors(page: str) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    plain = (re.sub(r"\[(.+?)\]\(.+?\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("name", pages())
def test_every_file_and_heading_that_a_page_points_to_exists(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", pages()[name]):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", pages())
def test_every_file_and_function_that_a_page_names_exists(name: str) -> None:
    page = re.sub(r"```.*?```", "", pages()[name], flags=re.DOTALL)
    named = re.findall(r"`((?:[\w.]+/)+|(?:[\w.]+/)*\w+\.py)`(?:: `([\w.]+)`)?", page)
    lost = [
        f"{file}: {function}"
        for file, function in named
        if file not in ELSEWHERE and not defines(file, function)
    ]
    assert lost == []


#: Folders of a user's, which the checkout has not before something has run.
ELSEWHERE = {"data/", "docs/"}


def defines(file: str, function: str) -> bool:
    places = [place for place in (ROOT / file, ROOT / "ods_pipeline" / file) if place.exists()]
    return bool(places) and (not function or function.split(".") in names_in(places[0]))


def names_in(module: Path) -> list[list[str]]:
    """What a module defines, and what its classes do."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    kinds = ast.ClassDef | ast.FunctionDef
    named = [[node.name] for node in tree.body if isinstance(node, kinds)]
    named += [
        [node.name, inner.name]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef)
    ]
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for node in assigned:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named += [[target.id] for target in targets if isinstance(target, ast.Name)]
    return named


def test_the_page_on_architecture_has_the_rooms_in_their_order() -> None:
    page = pages()["docs/architecture.md"]
    table = page.partition("## The rooms")[2].partition("Beside them")[0]
    rooms = re.findall(r"^\| (?:`(\w+)/`|the (ground)) \|", table, re.MULTILINE)
    assert tuple("".join(room) for room in rooms) == ROOMS
    folders = set(re.findall(r"^\| `portal/(\w+)/` \|", page, re.MULTILINE))
    assert folders == PORTAL
    assert all(f"`{name}.py`" in table for name in GROUND)


def test_every_command_for_contributors_is_there() -> None:
    page = pages()["CONTRIBUTING.md"]
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    typed = [command[5:].split()[0] for command in commands(page) if command.startswith("make ")]
    targets = {*typed, *re.findall(r"`make ([a-z-]+)", page)} - {"help"}
    assert targets >= {"test", "test-fast", "test-servers", "check", "bench", "soak"}
    assert [target for target in sorted(targets) if f"make {target} " not in listed] == []
    words = [re.sub(r"^([A-Z_]+=\S+ )+", "", command) for command in commands(page)]
    programs = [shlex.split(command) for command in words if command.startswith(".venv")]
    for program, *given in programs:
        assert (COMMANDS / Path(program).name).exists()
        assert all((ROOT / word).exists() for word in given if word.endswith(".py"))


def test_the_fault_that_contributors_are_shown_is_noticed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (source,) = blocks("python", pages()["CONTRIBUTING.md"])
    exec(compile(source, "CONTRIBUTING.md", "exec"), {})
    assert "rows" in capsys.readouterr().out
