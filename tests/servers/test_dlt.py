"""The recipe of the pages that has dlt load the lake, with dlt in an environment of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator
from tests.person import environment, typed

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]

PAGE = Path(__file__).parents[2] / "docs" / "warehouses.md"


def test_the_recipe_loads_every_dataset_of_the_lake_with_all_its_rows(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8").rpartition("## Others")[2]
    (source,), (install,) = (
        re.findall(r"```python\n(.*?)```", page, re.DOTALL),
        re.findall(r"`pip install (.*?)`", page),
    )
    with Emulator() as portal:
        assert typed(tmp_path, "sync", ODS_PORTAL=portal.url).returncode == 0
    (root,) = (tmp_path / "data" / "lake").iterdir()
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-compile"]
    subprocess.run([*pip, *install.replace('"', "").split()], check=True)
    done = subprocess.run(
        [python, "-c", source.replace("data.example", root.name)],
        cwd=tmp_path,
        # dlt remembers its pipelines there, at home or in /var.
        env=environment(DLT_DATA_DIR=str(tmp_path / "dlt")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with duckdb.connect(tmp_path / "lake.duckdb", read_only=True) as connection:
        for path in (root / "records").glob("*.parquet"):
            name = re.sub(r"[^a-z0-9]+", "_", path.stem)
            (found,) = connection.execute(f"SELECT count(*) FROM city.{name}").fetchall()
            assert found == (pq.read_metadata(path).num_rows,), path.stem
