"""A team's first day: a block is scaffolded, and partitions are there without a sensor."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.scaffolding import PortalParams, PortalScaffolder
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.sync.configuration import DatasetChoice
from tests.dagster.world import FIELDS, World, publish, settings_for, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with Emulator(sample=False) as emulator:
        publish(emulator, "trees", "roads", "towns")
        with world(tmp_path, emulator) as found:
            yield found


def test_u10_the_catalog_makes_partitions_so_that_they_can_be_launched(there: World) -> None:
    assert there.run("catalog").success
    assert there.partitions == {"trees", "roads", "towns"}
    assert there.run("records", "table", over="trees").success
    there.portal.withdraw("roads")
    there.portal.publish("new", fields=FIELDS, records=[])
    assert there.run("catalog").success
    assert there.partitions == {"trees", "towns", "new"}


def test_u10_a_changed_selection_is_applied_by_the_catalog_at_once(
    there: World, tmp_path: Path
) -> None:
    there.run("catalog")
    only = DatasetChoice(include=["t*"])
    there.settings = settings_for(
        there.portal.url, name="demo", data_dir=str(tmp_path), datasets=only
    )
    there.__post_init__()
    assert there.run("catalog").success
    assert there.partitions == {"trees", "towns"}


def test_the_check_stays_red_while_any_dataset_is_bad(there: World) -> None:
    there.run("catalog")
    there.portal.fail("/trees/exports/", Fault.short_rows(1, honest=True), None)
    there.run("records", over="trees", raise_on_error=False)
    good = there.run("records", "table", over="roads")
    assert good.success, "a good dataset is loaded all the same"
    (complete,) = [
        item for item in good.get_asset_check_evaluations() if item.check_name == "complete"
    ]
    assert (complete.passed, complete.severity.value) == (False, "WARN")
    assert "trees: 6 rows came where the portal counts 7" in (complete.description or "")
    there.portal.faults.clear()
    there.run("records", over="trees")
    better = there.run("records", over="towns")
    assert all(item.passed for item in better.get_asset_check_evaluations())


def scaffolded(folder: Path, *, portal: str = "", append: bool = False) -> str:
    folder.mkdir(exist_ok=True)
    target = folder / "defs.yaml" if append else folder
    request = dg.ScaffoldRequest(
        type_name="ods_pipeline.OpendatasoftPortal",
        target_path=target,
        scaffold_format="yaml",
        project_root=None,
        params=PortalParams(portal=portal),
        append=append,
    )
    PortalScaffolder().scaffold(request)
    return (folder / "defs.yaml").read_text()


def uncommented(block: str) -> str:
    """The block with all that it only suggests."""
    lines = [line.replace("  # ", "  ", 1) for line in block.splitlines()]
    return "\n".join(line for line in lines if ":" in line and not line.strip().endswith("."))


def test_u10_a_scaffolded_block_is_a_component_and_so_is_all_that_it_suggests(
    tmp_path: Path,
) -> None:
    block = scaffolded(tmp_path / "city", portal="data.city.test")
    attributes = yaml.safe_load(block)["attributes"]
    assert attributes == {"portal": "data.city.test", "name": "city"}
    suggested = yaml.safe_load(uncommented(block))["attributes"]
    assert {"datasets", "features", "tables", "api_key", "sensor"} <= suggested.keys()
    component = OpendatasoftPortal.from_attributes_dict(attributes=suggested)
    assert component.settings().attributes.tables["velib-disponibilite-en-temps-reel"].where


def test_u10_two_scaffolded_blocks_do_not_collide(tmp_path: Path) -> None:
    blocks = [scaffolded(tmp_path / name) for name in ("one", "two")]
    made = [
        OpendatasoftPortal.from_attributes_dict(attributes=yaml.safe_load(block)["attributes"])
        for block in blocks
    ]
    defs = dg.Definitions.merge(*(one.build_defs(None) for one in made))  # type: ignore[arg-type]
    defs.get_repository_def()
    both = scaffolded(tmp_path / "one", portal="data.other.test", append=True)
    names = [block["attributes"]["name"] for block in yaml.safe_load_all(both)]
    assert names == ["one", "data_other_test"]


def test_a_wrong_address_is_not_scaffolded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        scaffolded(tmp_path / "x", portal="http://")
    assert not (tmp_path / "x" / "defs.yaml").exists()


@pytest.mark.slow
def test_u10_dg_scaffolds_a_portal_in_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "mine"\n'
    )
    (tmp_path / "mine" / "defs").mkdir(parents=True)
    (tmp_path / "mine" / "__init__.py").touch()
    dg_command = Path(sys.executable).parent / "dg"
    done = subprocess.run(
        [
            dg_command,
            *("scaffold", "defs", "ods_pipeline.OpendatasoftPortal", "city"),
            *("--portal", "data.city.test"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "portal: data.city.test" in (tmp_path / "mine/defs/city/defs.yaml").read_text()
