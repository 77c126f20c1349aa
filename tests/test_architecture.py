"""The house's rules that can be read off the source: rooms, arrows, sizes, names.

Nothing here runs the code, except to import the package's public names. docs/architecture.md tells
the same to people.
"""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ods_pipeline

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ods_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: From top to bottom: a room imports itself and what is below it, never what is above.
ROOMS = ("cli", "dagster", "sync", "warehouse", "portal", "lake", "state", "tables", "ground")
#: What lies at the root beside the rooms; every room stands on it.
GROUND = {"errors", "redaction", "dataset", "markup"}
#: The folders of the portal's room, and the few files beside them.
PORTAL = {
    "http",
    "auth",
    "quota",
    "catalog",
    "exports",
    "features",
    "wfs",
    "gml",
    "queries",
    "files",
}
PORTAL_FILES = {"__init__", "portal", "query", "proof", "progress"}
#: The command line serves it, and nothing else of the package knows it.
MAY_START_THE_EMULATOR = {"cli.commands", "cli.demo", "cli.sample_portal"}
MAX_LINES = 400
SAYS_NOTHING = {"utils", "util", "helpers", "common", "misc"}
PRINTS = {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"}

# Brackets keep the pattern from finding itself.
OF_ONE_MACHINE = re.compile(
    r"pythonhosted[.]org|pypi[.]org|index[-]url|find[-]links"
    r"|(?<![\w.\\/-])(?:\w+:/{2,3})?/(?:work|root|opt|home|Users|tmp)/[\w.]"
)
BINARY = {".parquet", ".gz", ".png", ".duckdb", ".pyc"}
PRODUCED = {"__pycache__", "build", "dist"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Name the room of a dotted name of ours: a folder, the ground, or nothing for the root."""
    name = [*module.split("."), ""][1]
    return "ground" if name in GROUND else name


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Yield every dotted name imported anywhere in a module, relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = [*base, node.module] if node.module else base
            yield from (".".join([*source, alias.name]) for alias in node.names)


def imports_of(path: Path) -> Iterator[str]:
    return imports_in(tree_of(path), list(path.relative_to(ROOT).parent.parts))


@cache
def names() -> frozenset[str]:
    return frozenset(map(name_of, MODULES))


def ours(path: Path) -> set[str]:
    """Name the modules of ours that a file imports, wherever in it."""
    found = {name for name in imports_of(path) if name.split(".")[0] == PACKAGE.name}
    return {name if name in names() else name.rpartition(".")[0] for name in found}


def foreign(path: Path) -> set[str]:
    return {name for name in imports_of(path) if name.split(".")[0] != PACKAGE.name}


def arrows() -> Mapping[str, set[str]]:
    """Map each module to those that it imports; the package's lazy front door has no arrows."""
    return {
        name: ours(path) - {name, PACKAGE.name}
        for path in MODULES
        if (name := name_of(path)) != PACKAGE.name
    }


def strays(arrows: Mapping[str, set[str]]) -> list[str]:
    """List the arrows that point upwards, or into or out of the emulator."""
    return [
        f"{name} imports {other}"
        for name, others in sorted(arrows.items())
        for other in sorted(others)
        if not allowed(name, other)
    ]


def allowed(name: str, other: str) -> bool:
    here, there = room_of(name), room_of(other)
    if "emulator" in (here, there):
        may = here == there or name.removeprefix("ods_pipeline.") in MAY_START_THE_EMULATOR
        return may and there == "emulator"
    return here in ROOMS and there in ROOMS and ROOMS.index(here) <= ROOMS.index(there)


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Name the modules of a circle of imports; nobody where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def text_files() -> Iterator[Path]:
    """Walk what a commit could hold, without git: no environments, caches or produced data."""
    for folder, names, files in os.walk(ROOT):
        here = Path(folder)
        names[:] = [name for name in names if may_be_ours(here / name)]
        yield from (here / name for name in files if Path(name).suffix not in BINARY)


def may_be_ours(folder: Path) -> bool:
    if folder.parent == ROOT / "data":
        return folder.name == "portal"
    hidden = folder.name.startswith(".") and folder.name != ".ci"
    return not hidden and folder.name not in PRODUCED and not (folder / "pyvenv.cfg").exists()


def by_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_root_holds_the_ground_and_the_rooms_alone() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py")}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert files == GROUND | {"__init__"}
    assert folders == {*ROOMS, "emulator"} - {"ground"}
    declared = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - PRODUCED - folders
    assert declared == {"defs"}


def test_the_portals_room_has_a_folder_for_each_thing_on_the_wire() -> None:
    portal = PACKAGE / "portal"
    assert {path.parent.name for path in portal.glob("*/__init__.py")} == PORTAL
    assert {path.stem for path in portal.glob("*.py")} == PORTAL_FILES


def test_arrows_point_down() -> None:
    assert not strays(arrows())


def test_there_is_no_circle_not_even_inside_a_room() -> None:
    assert not circle(arrows())


def test_dagster_is_imported_in_its_room_alone() -> None:
    assert not [
        by_name(path)
        for path in MODULES
        if room_of(name_of(path)) != "dagster"
        and any(re.match(r"dagster\b|dagster_", name) for name in foreign(path))
    ]


def test_nothing_is_printed_outside_the_command_line() -> None:
    assert not [
        f"{by_name(path)}:{node.lineno}"
        for path in MODULES
        if room_of(name_of(path)) not in {"cli", "emulator"}
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and called(node) in PRINTS
    ]


@pytest.mark.parametrize(
    ("name", "imports", "complaint"),
    [
        ("tables.columns", "sync.plan", True),
        ("lake.lake", "portal.proof", True),
        ("sync.run", "dagster.assets", True),
        ("sync.run", "cli.report", True),
        ("portal.proof", "emulator", True),
        ("emulator.emulator", "portal.proof", True),
        ("errors", "dataset", False),
        ("cli.commands", "emulator", False),
        ("dagster.assets", "sync.update", False),
    ],
)
def test_a_file_in_the_wrong_room_is_noticed(name: str, imports: str, complaint: bool) -> None:
    arrow = {f"ods_pipeline.{name}": {f"ods_pipeline.{imports}"}}
    assert bool(strays(arrow)) is complaint


def test_a_circle_is_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def test_the_tests_mirror_the_rooms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders >= {*ROOMS, "emulator"} - {"ground"}


def test_nobody_reaches_into_the_private_parts_of_dagster() -> None:
    private = re.compile(r"dagster\w*(\.\w+)*\._")
    assert not [
        f"{by_name(path)}: {name}"
        for path in MODULES
        for name in sorted(foreign(path))
        if private.match(name)
    ]


def test_every_module_says_what_it_is_for() -> None:
    assert not [by_name(path) for path in MODULES if not ast.get_docstring(tree_of(path))]


def test_every_module_is_short() -> None:
    lengths = {by_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


def test_every_module_is_named_for_what_it_does() -> None:
    assert not [name for name in map(name_of, MODULES) if SAYS_NOTHING & set(name.split("."))]


@pytest.mark.parametrize("name", ods_pipeline.__all__)
def test_a_public_name_can_be_imported_and_is_on_the_page_on_python(name: str) -> None:
    assert hasattr(ods_pipeline, name)
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"))


def test_no_file_names_a_package_registry_or_somebodys_folder() -> None:
    found = [
        f"{by_name(path)}: {match.group()}"
        for path in text_files()
        if (match := OF_ONE_MACHINE.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert not found


def test_an_import_is_seen_wherever_and_however_it_is_written() -> None:
    tree = ast.parse(
        "def late():\n"
        "    from ..cli import main\n"
        "    from .. import errors\n"
        "    import dagster._core\n"
    )
    assert [*imports_in(tree, ["ods_pipeline", "portal"])] == [
        "ods_pipeline.cli.main",
        "ods_pipeline.errors",
        "dagster._core",
    ]


@pytest.mark.parametrize(
    "parts",
    [
        ("see ", "work", "x"),
        ("duckdb:", "", "", "tmp", "x.duckdb"),
        ("https:", "", "pypi" + ".org"),
    ],
)
def test_a_machines_own_address_is_recognised(parts: tuple[str, ...]) -> None:
    assert OF_ONE_MACHINE.search("/".join(parts))


@pytest.mark.parametrize("text", ["https://data.test/home/x", "../tmp/x", "duckdb:///data/x.db"])
def test_an_ordinary_address_is_left_alone(text: str) -> None:
    assert not OF_ONE_MACHINE.search(text)
