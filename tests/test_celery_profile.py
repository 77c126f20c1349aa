"""The files for many hosts agree with the checkout, with each other and with their page.

That they work is shown by tests with real servers.
"""

import importlib.util
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from celery.app.defaults import NAMESPACES, flatten
from dagster._core.instance.ref import InstanceRef

from ods_pipeline.dagster.one_place import Places, require_one_place
from ods_pipeline.errors import ConfigurationError
from tests.celery_profile import FOLDER, SYSTEM, UNITS, Unit, example, settings
from tests.containers import FOLDER as CONTAINERS
from tests.containers import ROOT, env_of

PROGRAMS = {entry.name for entry in entry_points(group="console_scripts")}
PAGE = (ROOT / "docs" / "many-hosts.md").read_text(encoding="utf-8")
LAUNCHER = "dagster_celery.launcher.CeleryRunLauncher"


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Those of the example, in the environment."""
    for name, value in example("dagster.env").items():
        monkeypatch.setenv(name, value)
    return example("dagster.env")


@pytest.mark.parametrize("name", UNITS)
def test_what_a_unit_starts_is_a_program_of_its_environment(name: str) -> None:
    program = Path(Unit(name).command()[0])
    assert str(program.parent) == "/srv/ods-pipeline/venv/bin"
    assert program.name in PROGRAMS


def test_every_unit_is_one_of_the_four_and_comes_after_the_code_that_it_needs() -> None:
    assert {f"ods-pipeline-{name}.service" for name in UNITS} == {
        path.name for path in FOLDER.glob("*.service")
    }
    for name in ("webserver", "daemon"):
        assert "ods-pipeline-code.service" in Unit(name).told("After")[0]


def test_dagster_takes_its_settings_with_the_variables_of_the_example(
    variables: dict[str, str],
) -> None:
    launcher = InstanceRef.from_dir(str(FOLDER)).run_launcher
    assert launcher
    assert f"{type(launcher).__module__}.{type(launcher).__name__}" == LAUNCHER
    assert launcher.celery.conf.broker_url == variables["DAGSTER_CELERY_BROKER"]  # type: ignore[attr-defined]
    assert launcher.celery.conf.result_backend == variables["DAGSTER_CELERY_BACKEND"]  # type: ignore[attr-defined]


def test_workers_are_told_of_the_same_broker_in_settings_that_celery_knows(
    variables: dict[str, str],
) -> None:
    spec = importlib.util.spec_from_file_location("told", FOLDER / "dagster_celery_config.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    told = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    assert told.pop("os")
    assert set(told) <= {name for name, _ in flatten(NAMESPACES)}
    assert told["broker_url"] == variables["DAGSTER_CELERY_BROKER"]
    assert told["result_backend"] == variables["DAGSTER_CELERY_BACKEND"]
    # Dagster asks for a result until the run must have ended.
    expires = dict(flatten(NAMESPACES))["result_expires"].default.total_seconds()
    assert settings()["run_monitoring"]["max_runtime_seconds"] < expires


def test_units_give_dagster_the_variables_that_its_settings_name() -> None:
    assert set(example("dagster.env")) == env_of(settings())
    for name in UNITS:
        assert "dagster.env" in Unit(name).files()
        assert all(Path(path).parent == SYSTEM for path in Unit(name).told("EnvironmentFile"))
        assert Unit(name).variables()["DAGSTER_HOME"] == "/srv/ods-pipeline/dagster"


def test_keys_of_portals_are_given_to_the_code_and_its_runs_alone() -> None:
    holders = {name for name in UNITS if "portals.env" in Unit(name).files()}
    assert holders == {"code", "worker"}


def test_no_password_is_written_down() -> None:
    for name in ("dagster.env", "portals.env"):
        for variable, value in example(name).items():
            if re.search("PASSWORD|KEY|SECRET", variable):
                assert value == "", variable


def test_the_example_names_places_that_all_hosts_share_and_none_of_them_may_be_missing() -> None:
    told = example("portals.env")
    names = ("ODS_DATA_DIR", "ODS_WAREHOUSE", "ODS_STATE")
    require_one_place(Places(*(told[name] for name in names)), LAUNCHER)
    for missing in names:
        with pytest.raises(ConfigurationError, match=missing):
            require_one_place(
                Places(*("" if name == missing else told[name] for name in names)), LAUNCHER
            )


def test_the_code_is_looked_for_where_it_is_served_and_nobody_else_reaches_it() -> None:
    (entry,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    code = Unit("code")
    assert str(entry["grpc_server"]["port"]) == code.option("--port")
    assert entry["grpc_server"]["host"] == code.option("--host") == "127.0.0.1"
    assert Unit("webserver").option("--host") == "127.0.0.1"
    for name in ("webserver", "daemon"):
        assert Unit(name).option("--workspace") == "/srv/ods-pipeline/dagster/workspace.yaml"
    module = CONTAINERS / "project" / (code.option("--module-name").replace(".", "/") + ".py")
    assert module.is_file()


def test_dagster_queues_and_forgets_as_in_the_checkout_and_stores_as_the_containers_do() -> None:
    checkout = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    for part in ("telemetry", "nux", "run_queue", "retention"):
        assert settings()[part] == checkout[part], part
    containers = yaml.safe_load((CONTAINERS / "dagster.yaml").read_text(encoding="utf-8"))
    assert settings()["storage"] == containers["storage"]
    assert set(settings()) == {*checkout, "run_launcher"}


def test_as_many_runs_are_launched_as_three_hosts_have_processes() -> None:
    runs = settings()["concurrency"]["runs"]["max_concurrent_runs"]
    assert runs == 3 * int(Unit("worker").option("--concurrency"))
    assert Unit("worker").option("--max-tasks-per-child") == "1"


def test_no_log_is_looked_for_on_a_host_that_does_not_have_it() -> None:
    assert settings()["compute_logs"]["class"] == "NoOpComputeLogManager"


def test_a_worker_that_is_stopped_is_left_time_for_its_runs() -> None:
    worker = Unit("worker")
    assert worker.told("KillMode") == ["mixed"]
    assert worker.told("TimeoutStopSec") == ["10min"]
    assert "ten minutes" in PAGE


def test_what_the_page_says_of_dead_hosts_is_what_the_files_say() -> None:
    told = settings()
    assert told["run_monitoring"]["max_runtime_seconds"] == 3600
    assert "`max_runtime_seconds`, an hour" in PAGE
    assert told["run_monitoring"]["start_timeout_seconds"] == 3600
    assert told["run_monitoring"]["poll_interval_seconds"] == 30
    assert "within 30 seconds" in PAGE
    assert told["run_monitoring"]["free_slots_after_run_end_seconds"] == 30
    assert "Half a minute after the run's end" in PAGE
    assert told["run_retries"]["max_retries"] == 3
    assert "three times" in PAGE
