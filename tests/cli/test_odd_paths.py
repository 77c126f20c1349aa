"""Paths that cannot be used, given to the command line and to Dagster's settings."""

import os
import subprocess
from pathlib import Path

import pytest

from ods_pipeline.dagster.resources import WarehouseResource, data_dir
from ods_pipeline.errors import ConfigurationError
from tests.person import COMMAND

ODD = [
    (["--data-dir", b"caf\xe9"], {}, "the data folder caf"),
    ([], {"ODS_DATA_DIR": b"/srv/\xff"}, "the data folder /srv/"),
    (["--warehouse", b"duckdb:///caf\xe9.duckdb"], {}, "the warehouse /"),
    ([], {"ODS_WAREHOUSE": b"duckdb:////srv/\xff/w.duckdb"}, "the warehouse /srv/"),
    (["--warehouse", b"duckdb:////srv/a?b/w.duckdb"], {}, "the warehouse /srv/a?b/w.duckdb is in"),
    (["--data-dir", b"a\\b"], {}, "the warehouse /"),
]


@pytest.mark.parametrize(("options", "settings", "says"), ODD)
def test_k12_a_path_that_cannot_be_used_ends_the_command_in_one_sentence(
    options: list[str | bytes], settings: dict[str, bytes], says: str, tmp_path: Path
) -> None:
    env = {os.fsencode(key): os.fsencode(value) for key, value in os.environ.items()}
    # Nobody is asked before the paths are looked at.
    env[b"ODS_PORTAL"] = b"http://127.0.0.1:9"
    env |= {os.fsencode(key): value for key, value in settings.items()}
    ended = subprocess.run(
        [COMMAND, *options, "sync"], env=env, cwd=tmp_path, capture_output=True, check=False
    )
    said = ended.stderr.decode()
    assert ended.returncode == 2
    assert said.startswith(f"ods-pipeline: {says}")
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("*.parquet")), "nothing was fetched before"


def test_k12_dagster_s_settings_are_refused_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"the data folder .* not UTF-8"):
        data_dir(f"{tmp_path}/caf\udce9")
    monkeypatch.setenv("ODS_DATA_DIR", f"{tmp_path}/caf\udce9")
    for resource in (WarehouseResource(), WarehouseResource(url="duckdb:////srv/\udcff.duckdb")):
        with pytest.raises(ConfigurationError, match="not UTF-8"):
            resource.open()
    monkeypatch.setenv("ODS_DATA_DIR", f"{tmp_path}/a?b")
    with pytest.raises(ConfigurationError, match="a folder with a question mark"):
        WarehouseResource().open()
