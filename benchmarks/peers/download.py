"""What every peer begins with: the same bytes on disk, gzip accepted on the way as ours does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.portal import DATASET, EXPORTS, FEATURES

_CHUNK = 1 << 20


def curl_parquet(url: str, folder: Path) -> None:
    """The export on disk, untouched: nobody can be quicker."""
    curl(_export(url, "parquet"), folder / "export.parquet")


def curl_csv(url: str, folder: Path) -> None:
    """The export on disk, untouched: nobody can be quicker."""
    curl(_export(url, "csv"), folder / "export.csv")


def curl_gml(url: str, folder: Path) -> None:
    """The features on disk, untouched: nobody can be quicker."""
    curl(url + FEATURES, folder / "export.gml")


def curl(address: str, target: Path) -> None:
    """Download with curl.

    Raises:
        FileNotFoundError: There is no curl.
        RuntimeError: It failed.
    """
    if not shutil.which("curl"):
        raise FileNotFoundError(2, "no such program", "curl")
    command = ["curl", "-sS", "--fail", "--compressed", "-o", str(target), address]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


def export(url: str, folder: Path, format: str) -> Path:
    """Download an export of the dataset."""
    return saved(_export(url, format), folder / f"export.{format}")


def features(url: str, folder: Path) -> Path:
    """Download the dataset's features."""
    return saved(url + FEATURES, folder / "features.gml")


def saved(address: str, target: Path) -> Path:
    """Download piece by piece, as everybody does it with requests."""
    import requests

    with requests.get(address, stream=True) as response, target.open("wb") as file:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
    return target


def _export(url: str, format: str) -> str:
    return url + EXPORTS[format].format(DATASET)
