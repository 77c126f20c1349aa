"""What the files for Kubernetes say, and the settings of Dagster that its chart makes of them.

No chart is read here: `tests/kubernetes_chart.py` compares with what a real one renders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "deploy" / "kubernetes"
#: What the page calls them.
RELEASE, NAMESPACE = "dagster", "ods-pipeline"


def values() -> dict[str, Any]:
    """The values for Dagster's chart."""
    told: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
    return told


def manifests(name: str) -> list[dict[str, Any]]:
    """The objects of a file of ours."""
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def code() -> dict[str, Any]:
    """The deployment of the portals' code."""
    (told,) = values()["dagster-user-deployments"]["deployments"]
    return dict(told)


def launcher() -> dict[str, Any]:
    """What is said of the pods of runs."""
    return dict(values()["runLauncher"]["config"]["k8sRunLauncher"])


def given() -> dict[str, str]:
    """The variables that the ConfigMap and the Secrets have for the code and its runs."""
    (places,) = manifests("configmap.yaml")
    _, keys = manifests("secrets.example.yaml")
    return {**places["data"], **keys["stringData"]}


def settings() -> dict[str, Any]:
    """The `dagster.yaml` that the chart makes of the values, where they say something."""
    told = values()
    daemon, database = told["dagsterDaemon"], told["postgresql"]
    storage = {
        "username": database["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": database["postgresqlHost"],
        "db_name": database["postgresqlDatabase"],
        "port": database["service"]["port"],
        "scheme": database["postgresqlScheme"],
    }
    kept = {"run_storage": "PostgresRunStorage", "schedule_storage": "PostgresScheduleStorage"}
    kept["event_log_storage"] = "PostgresEventLogStorage"
    return {
        **{
            part: {
                "module": f"dagster_postgres.{part.replace('event_log_storage', 'event_log')}",
                "class": name,
                "config": {"postgres_db": storage},
            }
            for part, name in kept.items()
        },
        "run_launcher": {
            "module": "dagster_k8s",
            "class": told["runLauncher"]["type"],
            "config": _run_launcher(told),
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
            "config": _snake(daemon["runCoordinator"]["config"]["queuedRunCoordinator"]),
        },
        "compute_logs": {
            "module": "dagster.core.storage.noop_compute_log_manager",
            "class": told["computeLogManager"]["type"],
        },
        "concurrency": {part: _snake(told["concurrency"][part]) for part in ("pools", "runs")},
        "run_monitoring": _snake(daemon["runMonitoring"]),
        "run_retries": _snake(daemon["runRetries"]),
        "retention": {"sensor": _snake(told["retention"]["sensor"])},
        "telemetry": told["telemetry"],
        **told["additionalInstanceConfig"],
    }


def _run_launcher(told: Mapping[str, Any]) -> dict[str, Any]:
    config = _snake(launcher())
    for part in ("env_config_maps", "env_secrets"):
        config[part] = [one["name"] for one in config[part]]
    return {
        **config,
        "run_k8s_config": _snake(config["run_k8s_config"]),
        "load_incluster_config": True,
        "job_namespace": NAMESPACE,
        "service_account_name": RELEASE,
        "dagster_home": told["global"]["dagsterHome"],
        "instance_config_map": f"{RELEASE}-instance",
        "postgres_password_secret": told["global"]["postgresqlSecretName"],
    }


def _snake(told: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with its own names as Dagster writes them, and all below as it is."""
    return {
        re.sub(r"(?<=[a-z0-9])[A-Z]", lambda one: f"_{one[0].lower()}", name): value
        for name, value in told.items()
    }
