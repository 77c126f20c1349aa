"""The component: what a block of YAML makes, and what it refuses."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from ods_pipeline.dagster.build import build_defs
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.settings import EMULATOR
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.sync.rules import Rules
from tests.dagster.world import settings_for

pytestmark = pytest.mark.filterwarnings(
    # Dagster reads its YAML with a function that pydantic deprecates, and marks what it finds there
    # through betas of its own; goes when it does neither.
    "ignore:.parse_obj_as. is deprecated:DeprecationWarning",
    "ignore::dagster.BetaWarning",
)
ROOT = Path(__file__).parents[2]

LISTING = """
assets
  data_test/catalog kinds=duckdb,parquet pool=warehouse/default fresh=24h <- dataset
  data_test/dataset kinds=opendatasoft partitions=data_test/datasets
  data_test/records kinds=parquet partitions=data_test/datasets pool=portal/data.test <- dataset
  data_test/table kinds=duckdb partitions=data_test/datasets pool=warehouse/default <- records
checks
  data_test/records:complete blocking
  data_test/records:schema_unchanged
  data_test/records:values_kept
jobs
  data_test_sync: data_test_fetch data_test_load
schedules
  data_test_schedule 0 6 * * * STOPPED
sensors
  data_test_automation 30s STOPPED
  data_test_watch 1800s STOPPED
resources
  io_manager_data_test lake_data_test portal_data_test \
table_io_manager_data_test warehouse_data_test
"""


def listing(defs: dg.Definitions) -> str:
    """The definitions as a person would list them."""
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    lines = ["", "assets"]
    for key in sorted(graph.get_all_asset_keys()):
        lines.append(f"  {key.to_user_string()}{_asset(repository, graph.get(key))}")
    lines += ["checks"]
    for key in sorted(graph.asset_check_keys, key=str):
        blocking = " blocking" if graph.get(key).blocking else ""
        lines.append(f"  {key.asset_key.to_user_string()}:{key.name}{blocking}")
    lines += ["jobs"]
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            nodes = " ".join(sorted(node.name for node in job.graph.nodes))
            lines.append(f"  {job.name}: {nodes}")
    lines += ["schedules"]
    for schedule in repository.schedule_defs:
        status = schedule.default_status.value
        lines.append(f"  {schedule.name} {schedule.cron_schedule} {status}")
    lines += ["sensors"]
    for sensor in sorted(repository.sensor_defs, key=lambda item: item.name):
        status = sensor.default_status.value
        lines.append(f"  {sensor.name} {sensor.minimum_interval_seconds}s {status}")
    lines += ["resources", f"  {' '.join(sorted(defs.resources or {}))}", ""]
    return "\n".join(lines)


def _asset(repository: Any, node: Any) -> str:
    kinds = ",".join(sorted(tag.rsplit("/")[-1] for tag in node.tags if "/kind/" in tag))
    parts = [f"kinds={kinds}"]
    if node.partitions_def:
        parts.append(f"partitions={node.partitions_def.name}")
    if node.is_materializable:
        parts.append(f"pool={node.assets_def.op.pool}")
    if node.freshness_policy:
        window = node.freshness_policy.fail_window.to_timedelta()
        parts.append(f"fresh={window.total_seconds() / 3600:.0f}h")
    parents = ",".join(sorted(key.path[-1] for key in node.parent_keys))
    return " ".join(["", *parts, *([f"<- {parents}"] if parents else [])])


def test_the_definitions_of_a_portal_read_like_this() -> None:
    settings = settings_for("data.test", schedule="0 6 * * *")
    assert listing(build_defs(settings)) == LISTING


def test_a_block_of_yaml_makes_the_same_as_python() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=OpendatasoftPortal,
            defs_yaml_contents={
                "type": "ods_pipeline.OpendatasoftPortal",
                "attributes": {"portal": "data.test", "schedule": "0 6 * * *"},
            },
        )
        with sandbox.load_component_and_build_defs(path) as (component, defs):
            assert isinstance(component, OpendatasoftPortal)
            assert listing(defs) == LISTING


def test_every_attribute_reaches_the_settings() -> None:
    component = OpendatasoftPortal.from_attributes_dict(
        attributes={
            "portal": "https://data.test:8443/explore",
            "name": "mine",
            "datasets": {"include": ["a*"], "exclude": ["ab"]},
            "format": "csv",
            "datasets_per_run": 100,
            "data_dir": "elsewhere",
            "warehouse": "duckdb:///w.duckdb",
            "group_name": "open_data",
            "catalog_hours": 6,
            "schedule": "@daily",
            "sensor": {"minimum_interval_seconds": 60, "running": True},
            "trust": {
                "max_trust_days": 7,
                "max_shrink": 20,
                "drift": 0.5,
                "schema_contract": "quarantine",
                "schema_exceptions": {"finance-*": "freeze"},
            },
        }
    )
    settings = component.settings()
    assert (settings.address.base, settings.slug) == ("https://data.test:8443", "data.test_8443")
    assert (settings.name, settings.group, settings.attributes.format) == (
        "mine",
        "open_data",
        "csv",
    )
    assert [name for name in ("a", "ab", "b") if settings.selects(name)] == ["a"]
    assert (settings.attributes.datasets_per_run, settings.attributes.catalog_hours) == (100, 6)
    attributes = settings.attributes
    assert (attributes.data_dir, attributes.warehouse) == ("elsewhere", "duckdb:///w.duckdb")
    assert (settings.sensor_seconds, attributes.schedule) == (60, "@daily")
    assert settings.sensor_status is dg.DefaultSensorStatus.RUNNING
    rules = settings.rules
    assert (rules.trust_days, rules.shrink, rules.drift) == (7, 20.0, 0.5)
    assert (rules.contract("trees"), rules.contract("finance-2026")) == ("quarantine", "freeze")


def test_a_portal_without_a_word_on_trust_is_trusted_as_the_command_line_does() -> None:
    rules = OpendatasoftPortal.from_attributes_dict(attributes={}).settings().rules
    assert replace(rules, contracts=()) == Rules()
    assert rules.contract("any") == Rules().contract("any")


@pytest.mark.parametrize(
    "trust",
    [
        {"schema_contract": "loose"},
        {"schema_exceptions": {"a": "loose"}},
        {"max_shrink": 101},
        {"max_trust_days": -1},
    ],
)
def test_a_rule_that_is_none_is_refused_by_its_name(trust: dict[str, object]) -> None:
    with pytest.raises(Exception, match=next(iter(trust))):
        OpendatasoftPortal.from_attributes_dict(attributes={"trust": trust})


def test_several_portals_live_in_one_code_location() -> None:
    portals = [settings_for(name) for name in ("data.one.test", "data.two.test")]
    merged = dg.Definitions.merge(*(build_defs(settings) for settings in portals))
    text = listing(merged)
    assert text.count("_one_test/records kinds") == text.count("_two_test/records kinds") == 1


def test_without_a_portal_it_is_the_environments_and_else_the_emulators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ODS_PORTAL", raising=False)
    assert settings_for().address.base == EMULATOR
    monkeypatch.setenv("ODS_PORTAL", "data.test")
    assert settings_for().address.base == "https://data.test"


def test_the_projects_own_definitions_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODS_PORTAL", raising=False)
    spec = importlib.util.spec_from_file_location("definitions", ROOT / "definitions.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    defs = module.defs()
    sensor = defs.get_repository_def().get_sensor_def("sample_portal_watch")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


@pytest.mark.parametrize(
    ("portal", "values", "sentence"),
    [
        ("not a portal", {}, "is no portal address"),
        ("data.test", {"name": "with space"}, "other characters than letters"),
        ("data.test", {"warehouse": "postgresql://me:secret@host/db"}, "set ODS_WAREHOUSE"),
        ("data.test", {"state": "postgresql://me:secret@host/db"}, "set ODS_STATE"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence_without_secrets(
    portal: str, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        settings_for(portal, **values)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_definitions_load_without_the_libraries_that_only_runs_need() -> None:
    """Every process of Dagster loads them: the code server, each run, each `dg` command."""
    loaded = (
        "import sys, dagster as dg\n"
        "from ods_pipeline import OpendatasoftPortal\n"
        "portal = OpendatasoftPortal(portal='data.test', tables={'trees': {}})\n"
        "dg.build_defs_for_component(portal)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", loaded]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"pandas", "geopandas", "duckdb", "matplotlib", "pyogrio", "polars", "pyproj"}
    assert not heavy & set(done.stdout.split())
