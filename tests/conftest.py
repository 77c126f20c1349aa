"""What holds for every test: no chance, no other user's settings, versions in the report, no skips.

Fixtures belong beside the tests that use them.
"""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ods_pipeline import redaction
from tests import retries

# A suite that was started in the background was told to ignore Ctrl-C, and would pass that on to
# the processes that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of processes are started: each would compile the package again, and each worker of xdist
# would rewrite all tests, which makes the suite twice as slow.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples each time, so that no run fails by chance; `ODS_EXPLORE=1` draws other ones.
# A time per example would say how busy the machine is, not whether the code is right.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=not os.environ.get("ODS_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

retries.shorten()

REPORTED = ("dagster", "duckdb", "geopandas", "numpy", "pandas", "pyarrow", "pyproj", "shapely")
NOT_RUN = ("skipped", "xfailed", "xpassed")


# For what begins before a test does, such as a portal that a module's tests share.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="ods-pipeline-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths that are free: pytest would read its folder of thousands for each of them."""
    folder = tmp_path_factory.mktemp("states")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def own_state(states: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what this machine remembers of portals apart for each test, and for what it starts.

    Emulators get the same port again, and would inherit each other's quotas.
    """
    folder = next(states)
    folder.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of a test after it: later messages would lack the words that they are."""
    monkeypatch.setattr(redaction, "_CONFIGURED", redaction._CONFIGURED.copy())
    monkeypatch.setattr(redaction, "_TEMPORARY", redaction._TEMPORARY.copy())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage: modules and tests stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that say that they take long: who is given one last is waited for."""
    longest: dict[Path, float] = {}
    for item in items:
        if mark := item.get_closest_marker("timeout"):
            longest[item.path] = max(longest.get(item.path, 0), mark.args[0])
    items.sort(key=lambda item: -longest.get(item.path, 0))


def pytest_unconfigure() -> None:
    """Let go of what was collected, or DuckDB calls it a leak at the end of the process."""
    gc.unfreeze()


def pytest_report_header() -> str:
    """Name the versions that decide what a failure means."""
    return "with: " + ", ".join(f"{name} {version(name)}" for name in REPORTED)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that skipped something: a test that did not run has proved nothing."""
    missed = _missed(session.config)
    if os.environ.get("CI") and missed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so, since the last line of the report still looks like a success."""
    missed = _missed(terminalreporter.config)
    if os.environ.get("CI") and missed:
        terminalreporter.write_line(f"{missed} skipped or expected to fail: CI allows none.")


def _missed(config: pytest.Config) -> int:
    """Count in the process that reports; xdist's workers have no reporter and count nothing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return sum(len(reporter.stats.get(kind, ())) for kind in NOT_RUN) if reporter else 0
