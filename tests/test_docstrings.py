"""What docstrings show is run: with the outcome that they show, or against the sample portal."""

import doctest
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import ods_pipeline
from ods_pipeline.emulator import Emulator
from tests.person import environment
from tests.test_docs import at_the_emulator

ROOT = Path(__file__).parents[1]
SHOWN = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "ods_pipeline").rglob("*.py")
    if "    >>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def landed(portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a dataset has landed."""
    folder = tmp_path_factory.mktemp("reader")
    subprocess.run(
        [Path(sys.executable).with_name("ods-pipeline"), "sync", "public-art"],
        cwd=folder,
        env=environment(ODS_PORTAL=portal.url),
        capture_output=True,
        check=True,
    )
    return folder


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_docstring_shows_works(
    name: str, portal: Emulator, landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(landed)
    module = import_module(name)
    assert doctest.testmod(module).failed == 0
    public = {name: getattr(ods_pipeline, name) for name in ods_pipeline.__all__}
    given = {"portal": ods_pipeline.Portal(portal.url), "lake": ods_pipeline.Lake("data")}
    ours = {**vars(module), **public, **given}
    seen = [test.examples for test in doctest.DocTestFinder().find(module)]
    assert any(seen)
    for example in (example for examples in seen for example in examples):
        # What depends on a portal is run without comparing.
        if doctest.SKIP in example.options:
            source = at_the_emulator(example.source, portal)
            exec(compile(source, name, "exec"), ours)
