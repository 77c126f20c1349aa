"""The house's rules that can be read off the source: arrows, sizes, names, and what no file says.

Nothing here runs the code, except to import the package's public names.
"""

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ods_pipeline

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ods_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
VOCABULARY = {"errors", "dataset", "redaction"}

# What each part may import of ours, itself aside. Parts not named here are the root's Dagster and
# command line files, which may import everything but the emulator.
ALLOWED: dict[str, set[str]] = {
    "errors": {"redaction"},
    "redaction": set(),
    "dataset": set(),
    "tables": VOCABULARY,
    "portal": VOCABULARY | {"tables"},
    "warehouse": VOCABULARY | {"tables"},
    "emulator": set(),
}
FOLDERS = {"portal", "tables", "warehouse", "emulator"}
MAY_START_THE_EMULATOR = {"commands", "demo", "sample_portal"}
MAX_LINES = 300
SAYS_NOTHING = {"utils", "util", "helpers", "common", "misc"}

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


def part_of(module: str) -> str:
    """Name the folder or root file of the package that a dotted name belongs to."""
    return [*module.split("."), ""][1]


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


def ours(path: Path) -> set[str]:
    """Name the other parts of the package that a file imports; "" is the package itself."""
    found = {part_of(name) for name in imports_of(path) if name.split(".")[0] == PACKAGE.name}
    return found - {part_of(name_of(path))}


def foreign(path: Path) -> set[str]:
    return {name for name in imports_of(path) if name.split(".")[0] != PACKAGE.name}


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


def test_a_module_imports_only_what_its_place_allows() -> None:
    strays = {
        by_name(path): sorted(ours(path) - ALLOWED[part])
        for path in MODULES
        if (part := part_of(name_of(path))) in ALLOWED and ours(path) - ALLOWED[part]
    }
    assert not strays


def test_the_emulator_is_started_by_the_command_line_and_the_demo_alone() -> None:
    starters = {part_of(name_of(path)) for path in MODULES if "emulator" in ours(path)}
    assert starters <= MAY_START_THE_EMULATOR


def test_folders_know_nothing_of_dagster() -> None:
    assert not [
        by_name(path)
        for path in MODULES
        if part_of(name_of(path)) in FOLDERS
        and any(name.startswith("dagster") for name in foreign(path))
    ]


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
def test_a_public_name_can_be_imported_and_is_in_the_readme(name: str) -> None:
    assert hasattr(ods_pipeline, name)
    assert re.search(rf"\b{name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


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
        "    from .. import sensor\n"
        "    import dagster._core\n"
    )
    assert [*imports_in(tree, ["ods_pipeline", "portal"])] == [
        "ods_pipeline.cli.main.main",
        "ods_pipeline.dagster.sensor",
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
