"""Deployments whose hosts would split the data are refused, in one sentence on what to set."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster._core.launcher import DefaultRunLauncher

from ods_pipeline.dagster.build import build_defs
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.one_place import Places, configured_launcher, require_one_place
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from tests.dagster.world import publish, reason, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
CELERY = "dagster_celery.launcher.CeleryRunLauncher"
DEFAULT = "dagster._core.launcher.default_run_launcher.DefaultRunLauncher"
POSTGRES = "postgresql://db/x"
SHARED = Places("s3://bucket/x", POSTGRES, POSTGRES)


def refusal(places: Places, launcher: str = CELERY) -> str:
    with pytest.raises(ConfigurationError) as caught:
        require_one_place(places, launcher)
    return str(caught.value)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (Places("data", POSTGRES, POSTGRES), "ODS_DATA_DIR"),
        (Places("/srv/data", POSTGRES, POSTGRES), "ODS_DATA_DIR"),
        (Places("", POSTGRES, POSTGRES), "ODS_DATA_DIR"),
        (Places("s3://b/x", "", POSTGRES), "ODS_WAREHOUSE"),
        (Places("s3://b/x", "duckdb:////srv/w.duckdb", POSTGRES), "ODS_WAREHOUSE"),
        (Places("s3://b/x", POSTGRES, ""), "ODS_STATE"),
    ],
)
def test_what_each_host_would_have_of_its_own_is_refused_alone(places: Places, said: str) -> None:
    message = refusal(places)
    assert message.startswith("runs are launched by CeleryRunLauncher, perhaps on several hosts")
    named = {name for name in ("ODS_DATA_DIR", "ODS_WAREHOUSE", "ODS_STATE") if name in message}
    assert named == {said}
    assert "shared_files: true" in message


def test_all_of_it_is_said_in_one_sentence() -> None:
    message = refusal(Places("data", "", ""))
    assert "a lake, a warehouse and a count of the quota of its own" in message
    assert "\n" not in message


@pytest.mark.parametrize("warehouse", [POSTGRES, "iceberg:team"])
def test_what_all_hosts_share_is_taken(warehouse: str) -> None:
    require_one_place(Places("gs://bucket/x", warehouse, POSTGRES), CELERY)


@pytest.mark.parametrize("launcher", ["", DEFAULT])
def test_on_one_host_everything_is_taken(launcher: str) -> None:
    require_one_place(Places("data", "", ""), launcher)


@pytest.mark.parametrize(
    "launcher",
    [
        "dagster_k8s.K8sRunLauncher",
        "dagster_k8s.launcher.K8sRunLauncher",
        "dagster_celery_k8s.CeleryK8sRunLauncher",
        "dagster_celery_k8s.launcher.CeleryK8sRunLauncher",
    ],
)
def test_pods_of_kubernetes_are_hosts_as_well(launcher: str) -> None:
    name = launcher.rpartition(".")[2]
    assert f"by {name}, perhaps on several hosts" in refusal(Places("data", "", ""), launcher)
    require_one_place(SHARED, launcher)


def test_a_launcher_that_nobody_knows_counts_as_one_that_distributes() -> None:
    assert "by OwnLauncher" in refusal(Places("data", "", ""), "team.launchers.OwnLauncher")


def test_a_person_can_vouch_for_folders_that_all_hosts_have() -> None:
    vouched = Places("/mnt/data", "duckdb:////mnt/data/w.duckdb", "", shared_files=True)
    require_one_place(vouched, CELERY)
    require_one_place(Places("/mnt/data", "", "", shared_files=True), CELERY)


@pytest.mark.parametrize("place", [Places("data", POSTGRES, POSTGRES, shared_files=True)])
def test_nobody_can_vouch_for_a_relative_path(place: Places) -> None:
    assert "ODS_DATA_DIR" in refusal(place)


def test_the_launcher_is_read_from_the_instance_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert configured_launcher() == ""
    file = tmp_path / "dagster.yaml"
    file.write_text(
        "run_launcher:\n  module: dagster_celery.launcher\n  class: CeleryRunLauncher\n"
    )
    assert configured_launcher() == CELERY
    for odd in ("run_launcher: [", "- a", "run_launcher: none", ""):
        file.write_text(odd)
        assert configured_launcher() == ""


class OwnLauncher(DefaultRunLauncher):
    """A launcher that Dagster does not ship."""


def test_a_run_that_another_launcher_started_fails_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    with Emulator(sample=False) as portal:
        publish(portal, "trees")
        with world(tmp_path, portal) as there:
            there.look()
            there.instance._run_launcher = OwnLauncher()
            portal.requests.clear()
            result = there.run("records", over="trees", raise_on_error=False)
            assert "runs are launched by OwnLauncher" in reason(result)
            assert not portal.requests
    assert not (tmp_path / "lake").exists()


def test_definitions_do_not_load_where_the_instance_distributes_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(
        "run_launcher:\n  module: dagster_celery.launcher\n  class: CeleryRunLauncher\n"
    )
    attributes = {"portal": "http://127.0.0.1:1", "name": "demo", "data_dir": str(tmp_path)}
    with pytest.raises(ConfigurationError, match="by CeleryRunLauncher"):
        build_defs(OpendatasoftPortal(**attributes).settings())
    vouched = OpendatasoftPortal(**attributes, shared_files=True)
    assert build_defs(vouched.settings())
