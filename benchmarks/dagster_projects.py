"""What Dagster does in each task: our component in a code location, beside one that has nothing.

The second is the floor: what Dagster's own commands cost. What the command line does is in `ours`.
Only the parts that are measured in this process import anything large.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

_PROJECT = """\
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "proj"
code_location_target_module = "proj.definitions"
"""
_QUIET = "telemetry: {enabled: false}\n"
OURS = """\
import dagster as dg

from ods_pipeline import OpendatasoftPortal

defs = dg.build_defs_for_component(OpendatasoftPortal(portal=%r, name="bench"))
"""
NOTHING = """\
import dagster as dg


@dg.asset
def one() -> None: ...


job = dg.define_asset_job("bench_sync", "*", executor_def=dg.in_process_executor)
defs = dg.Definitions([one], jobs=[job])
"""
# Of so many datasets one is an asset of its own.
_OWN = 11


def launch(url: str, folder: Path) -> None:
    """`dg launch` of the job that syncs everything, for the first time."""
    _dg(OURS % url, folder, folder, "launch", "--job", "bench_sync")


def launch_again(url: str, folder: Path) -> None:
    """The same where nothing changed since the last."""
    _dg(OURS % url, folder, (folder / "given").resolve(), "launch", "--job", "bench_sync")


def launch_nothing(url: str, folder: Path) -> None:
    """`dg launch` of a job with one asset that does nothing."""
    _dg(NOTHING, folder, folder, "launch", "--job", "bench_sync")


def list_defs(url: str, folder: Path) -> None:
    """`dg list defs` of a portal."""
    _dg(OURS % url, folder, folder, "list", "defs")


def list_nothing(url: str, folder: Path) -> None:
    """`dg list defs` of one asset."""
    _dg(NOTHING, folder, folder, "list", "defs")


def _dg(definitions: str, folder: Path, data: Path, *command: str) -> None:
    project, home = folder / "project", folder / "home"
    (project / "proj").mkdir(parents=True)
    home.mkdir()
    (home / "dagster.yaml").write_text(_QUIET)
    (project / "pyproject.toml").write_text(_PROJECT)
    (project / "proj" / "__init__.py").touch()
    (project / "proj" / "definitions.py").write_text(definitions)
    bin = Path(sys.executable).parent
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "ODS_DATA_DIR": str(data),
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "VIRTUAL_ENV": str(bin.parent),
    }
    done = subprocess.run(
        [bin / "dg", *command],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dg {command[0]}: {' '.join(done.stdout.split())[-300:]}")


def definitions_of(code: str, folder: Path) -> None:
    """Load the definitions of a module, as the processes of Dagster do that are given one."""
    from dagster._core.code_pointer import FileCodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    file = folder / "definitions.py"
    file.write_text(code)
    pointer = FileCodePointer(str(file), "defs", str(folder))
    os.environ["ODS_DATA_DIR"] = str(folder)
    ReconstructableRepository(pointer).get_definition().get_implicit_global_asset_job_def()


def prepared(url: str, folder: Path) -> Path:
    """A portal of which all datasets are partitions, but for those that are landed assets."""
    from benchmarks.prepared_data import landed_alike
    from ods_pipeline.dagster.sensor import report
    from ods_pipeline.portal.portal import Portal

    datasets = Portal(url).datasets()
    own = [item for number, item in enumerate(datasets) if number % _OWN == 0]
    landed_alike(url, folder, own)
    names = {item.dataset_id for item in own}
    (folder / "own.txt").write_text("\n".join(sorted(names)))
    there = {item.dataset_id for item in datasets}
    settings = _portal(url, folder).settings()
    catalog, cursor = {item.dataset_id: item for item in datasets}, ""
    # As many looks as it takes until all versions have been reported.
    while (found := report(catalog, there, _cursor(cursor), settings.rules, own=names)).changed:
        cursor = str(found.cursor)
    (folder / "cursor.txt").write_text(cursor)
    with _instance(folder) as instance:
        instance.add_dynamic_partitions(settings.partitions.name, sorted(there - names))
    return folder


def load(url: str, folder: Path) -> None:
    """Definitions, as a code server makes them."""
    _loaded(url, folder)


def look(url: str, folder: Path) -> None:
    """Definitions, and a look at a catalog in which nothing changed."""
    import dagster as dg

    given = (folder / "given").resolve()
    defs = _loaded(url, folder)
    repository = defs.get_repository_def()
    sensor = repository.get_sensor_def("bench_watch")
    cursor = (given / "cursor.txt").read_text()
    with (
        _instance(given) as instance,
        dg.build_sensor_context(
            instance, cursor=cursor, repository_def=repository, resources=defs.resources
        ) as context,
    ):
        found: Any = sensor.evaluate_tick(context)
    assert found.skip_message, "something was reported"


def tick(url: str, folder: Path) -> None:
    """Definitions, and one evaluation of the conditions of all assets."""
    import dagster as dg

    defs = _loaded(url, folder)
    with _instance((folder / "given").resolve()) as instance:
        dg.evaluate_automation_conditions(defs, instance)


def _loaded(url: str, folder: Path) -> dg.Definitions:
    import dagster as dg

    defs = dg.build_defs_for_component(_portal(url, (folder / "given").resolve()))
    defs.get_repository_def().load_all_definitions()
    return defs


def _portal(url: str, data: Path) -> Any:
    from ods_pipeline import OpendatasoftPortal
    from ods_pipeline.dagster.attributes import AssetTableChoice
    from ods_pipeline.sync.configuration import DatasetChoice

    names = (data / "own.txt").read_text().split()
    return OpendatasoftPortal(
        portal=url,
        name="bench",
        data_dir=str(data),
        datasets=DatasetChoice(include=["*"]),
        tables={name: AssetTableChoice() for name in names},
    )


def _cursor(text: str) -> Any:
    from ods_pipeline.dagster.sensor import Cursor

    return Cursor.parse(text)


def _instance(data: Path) -> dg.DagsterInstance:
    import dagster as dg

    home = data / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(_QUIET)
    return dg.DagsterInstance.from_config(str(home))
