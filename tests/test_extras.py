"""What needs an extra says so in a sentence where it is missing; everything else works without."""

import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator
from tests.person import environment

# What nobody has who installed the core alone.
EXTRAS = (
    *("matplotlib", "PIL", "dagster_webserver", "dagster_dg_cli", "psycopg", "polars", "pyiceberg"),
)
WITHOUT = f"""
import sys
from importlib.machinery import PathFinder

class Missing(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Missing if found is PathFinder else found for found in sys.meta_path]
"""
COMMAND = "from ods_pipeline.cli.main import main; main()"
ASSETS = """
import json
import dagster as dg
from ods_pipeline import OpendatasoftPortal

portal, dataset, name = sys.argv[1:]
component = OpendatasoftPortal(
    portal=portal, name="city", tables={dataset: {}}, files={"include": [name]}
)
defs = dg.build_defs_for_component(component)
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("city/files", [name])
    implicit = defs.resolve_implicit_global_asset_job_def()
    told = {}
    for key, partition in ((f"city/{dataset}", None), ("city/files", name)):
        result = implicit.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey.from_user_string(key)],
            partition_key=partition,
        )
        (made,) = (event.materialization for event in result.get_asset_materialization_events())
        told[key] = {name: str(value.value) for name, value in made.metadata.items()}
    print(json.dumps(told))
"""


def without_extras(code: str, folder: Path, *words: str, **settings: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *words],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_is_the_five_libraries_and_what_they_need_no_pages_and_no_plots() -> None:
    core = [line for line in requires("ods-pipeline") or () if "extra ==" not in line]
    names = {line.partition(">")[0].strip() for line in core}
    assert {"pandas", "geopandas", "pyarrow", "requests-oauthlib"} <= names
    assert not names & {"matplotlib", "pillow", "dagster-webserver", "dagster-dg-cli"}


@pytest.mark.parametrize("words", [["sync", "--features"], ["plan"], ["doctor"], ["verify"]])
def test_commands_work_without_any_extra(tmp_path: Path, words: list[str]) -> None:
    with Emulator() as portal:
        told = without_extras(
            COMMAND, tmp_path, *words, "--portal", portal.url, "--data-dir", "data"
        )
    assert told


def test_show_says_which_extra_draws_its_map(tmp_path: Path) -> None:
    place = ("--data-dir", "data")
    with Emulator() as portal:
        without_extras(
            COMMAND, tmp_path, "sync", "weather-stations", "--portal", portal.url, *place
        )
    told = without_extras(COMMAND, tmp_path, "show", "weather-stations", *place)
    assert 'pip install "ods-pipeline[map]"' in told
    without_extras(COMMAND, tmp_path, "show", "weather-stations", "--html", "page.html", *place)
    assert "weather-stations" in (tmp_path / "page.html").read_text()


def test_assets_say_which_extra_draws_the_pictures_that_they_lack(tmp_path: Path) -> None:
    with Emulator() as portal:
        told = json.loads(
            without_extras(
                ASSETS,
                tmp_path,
                portal.url,
                "world-administrative-boundaries",
                "public-art",
                DAGSTER_HOME=str(tmp_path),
            )
        )
    assert 'pip install "ods-pipeline[map]"' in told["city/world-administrative-boundaries"]["map"]
    assert "ods-pipeline" in told["city/files"]["thumbnails"]
