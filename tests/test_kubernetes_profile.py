"""The files for Kubernetes agree with Dagster's configuration, Kubernetes' schemas and the image.

There is no cluster here, and no chart: `make check-kubernetes` renders one.
"""

from __future__ import annotations

import re
import shlex
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from kubernetes.client import ApiClient

from ods_pipeline.cli.main import cli
from ods_pipeline.dagster.one_place import Places, configured_launcher, require_one_place
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.copies import SETTING
from tests import celery_profile, containers
from tests.containers import ROOT
from tests.kubernetes_profile import (
    FOLDER,
    NAMESPACE,
    RELEASE,
    code,
    given,
    launcher,
    manifests,
    settings,
    values,
)

LAUNCHER = "dagster_k8s.launcher.K8sRunLauncher"
OURS = ("configmap.yaml", "secrets.example.yaml")
#: Nothing is asked of this cluster.
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "nobody"}}],
    "users": [{"name": "nobody", "user": {}}],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the `dagster.yaml` that pods have, and the password of the chart."""
    text = yaml.safe_dump(settings())
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "a password")
    return tmp_path


def pods() -> dict[str, dict[str, Any]]:
    """What is said of the four kinds of pods."""
    told = values()
    return {
        "webserver": told["dagsterWebserver"],
        "daemon": told["dagsterDaemon"],
        "code": code(),
        "run": {**launcher(), **_of_the_pod()},
    }


def _of_the_pod() -> dict[str, Any]:
    spec = launcher()["runK8sConfig"]["podSpecConfig"]
    return {"podSecurityContext": spec["securityContext"], "tolerations": spec["tolerations"]}


def job(home: Path) -> dict[str, Any]:
    """What Dagster would send to the cluster for a run."""
    config = home / "kubeconfig"
    config.write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    told = {**settings()["run_launcher"]["config"], "load_incluster_config": False}
    run_launcher = K8sRunLauncher.from_config_value(None, {**told, "kubeconfig_file": str(config)})
    context = K8sContainerContext.create_for_run(DagsterRun("portals"), run_launcher, True)
    image = "{repository}:{tag}".format(**code()["image"])
    made = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config(job_image=image, run_launcher=run_launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run",
        pod_name="dagster-run",
        user_defined_k8s_config=context.run_k8s_config,
    )
    plain: dict[str, Any] = ApiClient().sanitize_for_serialization(made)
    return plain


def amount(text: str) -> int:
    """A quantity of Kubernetes in bytes."""
    number, unit = re.fullmatch(r"(\d+)([MG]i)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


def test_dagster_takes_the_settings_that_the_chart_makes_of_the_values(home: Path) -> None:
    made = InstanceRef.from_dir(str(home))
    assert made.run_launcher_data.class_name == "K8sRunLauncher"
    assert isinstance(made.run_coordinator, QueuedRunCoordinator)
    assert made.run_storage_data.config_dict["postgres_db"]["scheme"] == "postgresql+psycopg2"
    told = settings()["run_launcher"]["config"]
    checked = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), told)
    assert checked.success, checked.errors
    wrong = {**told, "env_secret": told["env_secrets"]}
    assert not process_config(resolve_to_config_type(K8sRunLauncher.config_type()), wrong).success


def test_kubernetes_takes_our_objects_and_the_job_that_dagster_makes_of_a_run(home: Path) -> None:
    made = [job(home), *(one for name in OURS for one in manifests(name))]
    for release in ("1.33", kubernetes_validate.latest_version()):
        for one in made:
            kubernetes_validate.validate(one, release, strict=True)
    made[0]["spec"]["template"]["spec"]["toleration"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="toleration"):
        kubernetes_validate.validate(made[0], kubernetes_validate.latest_version(), strict=True)


def test_the_pod_of_a_run_has_the_image_of_the_code_its_keys_and_dagsters_settings(
    home: Path,
) -> None:
    spec = job(home)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "{repository}:{tag}".format(**code()["image"])
    assert {one[kind]["name"] for one in container["envFrom"] for kind in one} == {
        "ods-pipeline",
        "ods-pipeline-portals",
    }
    password = next(one for one in container["env"] if one["name"] == "DAGSTER_PG_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"]["name"] == "ods-pipeline-postgresql"
    assert container["resources"] == launcher()["resources"]
    assert {one["mountPath"] for one in container["volumeMounts"]} == {
        "/tmp",
        given()[SETTING],
        values()["global"]["dagsterHome"],
    }
    assert spec["restartPolicy"] == "Never"
    assert job(home)["spec"]["backoffLimit"] == 0


def test_what_the_values_name_is_in_our_objects() -> None:
    names = {one["metadata"]["name"] for name in OURS for one in manifests(name)}
    for one in (code(), launcher()):
        named = {entry["name"] for entry in [*one["envConfigMaps"], *one["envSecrets"]]}
        assert named < names
    password, _ = manifests("secrets.example.yaml")
    assert password["metadata"]["name"] == values()["global"]["postgresqlSecretName"]
    assert set(password["stringData"]) == {"postgresql-password"}


def test_keys_of_portals_are_given_to_the_code_and_its_runs_alone() -> None:
    for name, pod in pods().items():
        assert ("envSecrets" in pod) == (name in {"code", "run"}), name
        assert "env" not in pod
        assert "envVars" not in pod
    assert not code()["includeConfigInLaunchedRuns"]["enabled"]


def test_no_password_is_written_down() -> None:
    assert "postgresqlPassword" not in values()["postgresql"]
    assert not values()["generatePostgresqlPasswordSecret"]
    for file in FOLDER.iterdir():
        plain = re.sub(r"#.*", "", file.read_text(encoding="utf-8"))
        assert not re.search(r"://[^/@\s]*:[^/@\s]+@", plain), file
    for secret in manifests("secrets.example.yaml"):
        for name, value in secret["stringData"].items():
            if re.search("PASSWORD|KEY|SECRET", name.upper()):
                assert value == "", name
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/deploy/kubernetes/secrets.yaml" in ignored


def test_every_variable_is_one_that_is_read() -> None:
    read = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "ods_pipeline").rglob("*.py")
    )
    bucket = (ROOT / "docs" / "bucket.md").read_text(encoding="utf-8")
    for name in given():
        assert f'"{name}"' in read or f"`{name}`" in bucket, name
    assert set(given()) - {SETTING} == set(celery_profile.example("portals.env"))


def test_the_places_are_ones_that_all_pods_share_and_none_of_them_may_be_missing() -> None:
    told = given()
    names = ("ODS_DATA_DIR", "ODS_WAREHOUSE", "ODS_STATE")
    assert told["ODS_DATA_DIR"].startswith("s3://")
    require_one_place(Places(*(told[name] for name in names)), LAUNCHER)
    for missing in names:
        with pytest.raises(ConfigurationError, match=f"by K8sRunLauncher.*{missing}"):
            require_one_place(
                Places(*("" if name == missing else told[name] for name in names)), LAUNCHER
            )
    with pytest.raises(ConfigurationError, match="ODS_DATA_DIR"):
        require_one_place(Places("data", *(told[name] for name in names[1:])), LAUNCHER)


def test_definitions_know_in_the_code_that_runs_are_elsewhere(home: Path) -> None:
    assert home
    assert configured_launcher() == "dagster_k8s.K8sRunLauncher"
    (mount,) = [one for one in code()["volumeMounts"] if one["name"] == "dagster-instance"]
    assert mount["mountPath"] == f"{values()['global']['dagsterHome']}/dagster.yaml"
    (volume,) = [one for one in code()["volumes"] if one["name"] == "dagster-instance"]
    config = settings()["run_launcher"]["config"]
    assert volume["configMap"]["name"] == config["instance_config_map"]


@pytest.mark.parametrize("name", ["webserver", "daemon", "code", "run"])
def test_pods_have_no_rights_and_write_to_a_volume_of_a_bounded_size(name: str) -> None:
    pod = pods()[name]
    (user,) = [one.text for one in containers.instructions() if one.name == "USER"]
    assert pod["podSecurityContext"]["runAsNonRoot"]
    for part in ("runAsUser", "runAsGroup", "fsGroup"):
        assert str(pod["podSecurityContext"][part]) == user
    container = pod["securityContext"]
    assert container["readOnlyRootFilesystem"]
    assert not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    mounted = {one["mountPath"] for one in pod["volumeMounts"]}
    assert {"/tmp", given()[SETTING], values()["global"]["dagsterHome"]} <= mounted
    (scratch,) = [one["emptyDir"] for one in pod["volumes"] if one["name"] == "scratch"]
    if name in {"code", "run"}:
        limit = pod["resources"]["limits"]["ephemeral-storage"]
        assert amount(scratch["sizeLimit"]) < amount(limit)


def test_pods_have_the_memory_that_was_measured() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    promised = re.findall(r"^\| memory of .* \| (\d+) MB \|$", page, re.M)
    assert len(promised) == 3
    dagster = max(map(int, re.findall(r"^\| Dagster alone \|(?: \S+ \|){2} (\d+) \|", page, re.M)))
    run = pods()["run"]["resources"]
    assert amount(run["requests"]["memory"]) > (max(map(int, promised)) + dagster) * 1_000_000
    for name, pod in pods().items():
        assert "cpu" not in pod["resources"]["limits"], name
        asked, most = (amount(pod["resources"][part]["memory"]) for part in ("requests", "limits"))
        assert 1.5 * asked <= most, name
    (look,) = re.findall(r"^\| definitions, and a look .*?\|(?: \S+ \|){2} (\d+) \|", page, re.M)
    assert amount(code()["resources"]["requests"]["memory"]) > int(look) * 1_000_000


def test_the_code_is_started_with_the_project_that_the_image_has() -> None:
    argument, module = code()["dagsterApiGrpcArgs"]
    assert argument == "--module-name"
    path = module.replace(".", "/") + ".py"
    assert (containers.FOLDER / "project" / path).is_file()
    assert ("deploy/compose/project", "/srv/project") in containers.copied(1)
    (folder,) = [
        one.text for one in containers.instructions() if (one.stage, one.name) == (1, "WORKDIR")
    ]
    assert folder == "/srv/project"
    # Settings that the image has would be taken where the chart gives none.
    assert values()["global"]["dagsterHome"] != containers.variables()["DAGSTER_HOME"]


def test_all_pods_have_one_image_with_a_tag_of_its_own() -> None:
    images = [pods()[name]["image"] for name in ("webserver", "daemon", "code")]
    assert images[0] == images[1] == images[2]
    assert images[0]["tag"] == version("ods-pipeline")
    assert launcher()["imagePullPolicy"] == images[0]["pullPolicy"] == "IfNotPresent"


def test_a_run_can_ask_for_its_launcher_which_reads_the_token_of_the_service_account() -> None:
    assert "automountServiceAccountToken" not in launcher()["runK8sConfig"]["podSpecConfig"]


def test_nothing_is_reached_from_outside_and_no_port_needs_rights() -> None:
    pages = values()["dagsterWebserver"]
    assert pages["service"]["type"] == "ClusterIP"
    assert "ingress" not in values()
    assert pages["readinessProbe"]["httpGet"]["port"] == pages["service"]["port"] > 1024
    assert code()["port"] > 1024


def test_dagster_queues_retries_and_forgets_as_with_celery() -> None:
    ours, celery = settings(), celery_profile.settings()
    for part in ("telemetry", "nux", "concurrency", "run_retries", "retention"):
        assert ours[part] == celery[part], part
    assert ours["run_coordinator"]["config"] == celery["run_queue"]
    assert ours["compute_logs"]["class"] == celery["compute_logs"]["class"]
    waits = {"start_timeout_seconds": 0}  # Redis holds what waits there; here it is in the queue.
    assert {**ours["run_monitoring"], **waits} == {**celery["run_monitoring"], **waits}
    database = ours["run_storage"]["config"]["postgres_db"]
    assert database["scheme"] == celery["storage"]["postgres"]["postgres_db"]["scheme"]


PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
TYPED = [shlex.split(line) for line in re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def typed(*begin: str) -> list[list[str]]:
    """The commands of the page that begin so."""
    return [words for words in TYPED if words[: len(begin)] == list(begin)]


def test_every_command_of_the_page_is_for_files_that_there_are() -> None:
    programs = {"docker", "cp", "chmod", "kubectl", "helm", "make"}
    assert {words[0] for words in TYPED} == programs
    for words in TYPED:
        for word in words:
            if word.startswith("deploy/"):
                made = word.replace("/secrets.yaml", "/secrets.example.yaml")
                assert (ROOT / made).is_file(), word


def test_the_image_of_the_page_is_that_of_the_values_with_extras_that_there_are() -> None:
    (build,), (push,) = typed("docker", "build"), typed("docker", "push")
    image = "{repository}:{tag}".format(**code()["image"])
    assert option(build, "--tag") == push[-1] == image
    name, _, extras = option(build, "--build-arg").partition("=")
    assert name in containers.arguments()
    assert {"bucket", "kubernetes", *containers.arguments()[name].split(",")} == {
        *extras.split(",")
    }
    told = [one for one in requires("ods-pipeline") or () if "extra ==" in one]
    for extra in extras.split(","):
        assert any(f"extra == '{extra}'" in one for one in told), extra


def test_the_chart_of_the_page_is_of_the_version_of_dagster_under_the_names_of_the_values() -> None:
    installed = typed("helm", "upgrade")
    assert len(installed) == 2
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for words in installed:
        assert f"dagster=={option(words, '--version')}" in pins
        assert option(words, "--install") == RELEASE
        assert option(words, "--values") == "deploy/kubernetes/values.yaml"
    assert settings()["run_launcher"]["config"]["instance_config_map"] == f"{RELEASE}-instance"
    used = {option(words, "--namespace") for words in TYPED if "--namespace" in words}
    assert used == {NAMESPACE} == {words[3] for words in typed("kubectl", "create")}


def test_what_is_typed_in_a_pod_is_a_command_and_the_pod_is_one_of_the_profile() -> None:
    reached = {f"deployment/dagster-dagster-user-deployments-{code()['name']}"}
    reached |= {"deployment/dagster-daemon"}
    inside = [words for words in TYPED if "exec" in words]
    assert len(inside) > 3
    for words in inside:
        at = words.index("--")
        assert words[at - 1] in reached
        assert words[at + 1] in {"ods-pipeline", "dagster"}
        if words[at + 1] == "ods-pipeline":
            assert words[at + 2] in cli.commands
    (restarted,) = [words[-1] for words in TYPED if "restart" in words]
    assert restarted in reached
    (forward,) = [words[-1] for words in TYPED if "port-forward" in words]
    port = values()["dagsterWebserver"]["service"]["port"]
    assert forward == f"{port}:{port}"


def test_what_the_page_says_of_what_dies_is_what_the_values_say() -> None:
    told = settings()["run_monitoring"]
    assert (told["poll_interval_seconds"], told["free_slots_after_run_end_seconds"]) == (30, 30)
    assert "within 30 seconds" in PAGE
    assert "half a minute after the run's end" in PAGE
    assert (told["max_runtime_seconds"], told["start_timeout_seconds"]) == (3600, 900)
    assert "`max_runtime_seconds`, an hour" in PAGE
    assert "`start_timeout_seconds`, a quarter of an hour" in PAGE
    assert settings()["run_retries"]["max_retries"] == 3
    assert "tried again three times" in PAGE
    for name, pod in pods().items():
        assert {one["tolerationSeconds"] for one in pod["tolerations"]} == {60}, name
    assert "a minute of `tolerations`" in PAGE
    disk = [one["emptyDir"] for one in launcher()["volumes"]]
    assert [amount(one["sizeLimit"]) for one in disk] == [10 * 2**30]
    assert "up to 10 GB" in PAGE
