"""Refuses deployments whose hosts would each have files of their own.

Every run of such a deployment succeeds, and the data are split over the hosts' disks. How runs
reach other hosts belongs to Dagster's run launchers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ods_pipeline.errors import ConfigurationError

# Dagster's own launchers start runs where the code server is; all others may start them elsewhere.
_ON_ONE_HOST = "dagster._core."


@dataclass(frozen=True)
class Places:
    """Where a portal's data and what its runs share are.

    Attributes:
        data_dir: A folder, or an address in a bucket.
        warehouse: URL of the warehouse; empty for a file in the data folder.
        state: URL of what processes share; empty for files.
        shared_files: Whether a person says that every host has the same folders, with file locks.
    """

    data_dir: str
    warehouse: str
    state: str
    shared_files: bool = False


@dataclass(frozen=True)
class _Divided:
    """Something that each host would have for itself, and the setting that ends that."""

    what: str
    setting: str


def require_one_place(places: Places, launcher: str) -> None:
    """Refuse places that hosts would not share.

    Args:
        places: Where things are.
        launcher: Module and class of the run launcher; empty where it is not known.

    Raises:
        ConfigurationError: Runs may be on several hosts, and these would not share everything.
    """
    if not launcher or launcher.startswith(_ON_ONE_HOST):
        return
    found = _divided(places)
    if not found:
        return
    vouched = "" if places.shared_files else _VOUCH
    raise ConfigurationError(
        f"runs are launched by {launcher.rpartition('.')[2]}, perhaps on several hosts, each of "
        f"which would have {_listed([one.what for one in found])} of its own: set "
        f"{_listed([one.setting for one in found])}{vouched}"
    )


_VOUCH = (
    "; or say `shared_files: true` if all hosts have the same folders, named by whole paths, on a "
    "file system with locks"
)


def launcher_of(instance: Any) -> str:
    """Module and class of an instance's run launcher."""
    kind = type(instance.run_launcher)
    return f"{kind.__module__}.{kind.__name__}"


def configured_launcher() -> str:
    """The launcher that `dagster.yaml` names, for definitions that load; empty for none."""
    home = os.environ.get("DAGSTER_HOME", "")
    try:
        content = yaml.safe_load(Path(home, "dagster.yaml").read_text("utf-8")) if home else None
        named = (content or {}).get("run_launcher") or {}
        return f"{named['module']}.{named['class']}"
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return ""  # Dagster itself has something to say of such a file.


def _divided(places: Places) -> list[_Divided]:
    found = []
    if "://" not in places.data_dir and not _vouched(places, places.data_dir or "data"):
        found.append(_Divided("a lake", "ODS_DATA_DIR to s3://…, gs://… or az://…"))
    warehouse = places.warehouse
    if _in_a_file(warehouse):
        path = warehouse.partition("://")[2].removeprefix("/") or places.data_dir
        if not _vouched(places, path):
            found.append(_Divided("a warehouse", "ODS_WAREHOUSE to postgresql://… or iceberg:NAME"))
    if not places.state and not places.shared_files:
        found.append(_Divided("a count of the quota", "ODS_STATE to postgresql://…"))
    return found


def _in_a_file(warehouse: str) -> bool:
    return not warehouse or warehouse.startswith("duckdb:")


def _vouched(places: Places, path: str) -> bool:
    """Whether a person vouches for a path, and it is the same one on every host."""
    return places.shared_files and (Path(path).is_absolute() or "://" in path)


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
