"""The example project, and one of three portals in YAML alone: the built wheel and real dbt."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault
from tests.dagster.world import RECORDS, publish
from tests.servers.dev import README, Dev, copied, developed, environment
from tests.servers.installed import EXAMPLE, in_readme, installed
from tests.servers.pages import Pages, chromium

# The first test builds the environment, a minute on an idle machine of two cores.
pytestmark = [pytest.mark.example, pytest.mark.timeout(5400)]

PLACES = "paris/velib-emplacement-des-stations"
LIVE = "paris/velib-disponibilite-en-temps-reel"


@pytest.fixture(scope="module")
def bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("installed"))


def test_the_wheel_is_tried_without_being_installed(bin: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", bin / "python"]
    subprocess.run([*pip, "install", "uv"], check=True)
    *_, (uvx, *words) = in_readme(bin.parents[1])
    done = subprocess.run(
        [bin / uvx, *words],
        cwd=tmp_path,
        env={**environment(tmp_path, bin), "UV_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sync would fetch 12 of 14 datasets" in done.stdout


def hurried(folder: Path) -> None:
    """Let everything look every few seconds: a person has the patience for half a minute."""
    for file in [*folder.rglob("src/**/*.py"), *folder.rglob("src/**/*.yaml")]:
        text = re.sub(r"(minimum_interval_seconds\W+)\d+", r"\g<1>3", file.read_text())
        file.write_text(text)
    with (folder / "dagster.yaml").open("a") as settings:
        settings.write("\nrun_queue:\n  dequeue_interval_seconds: 1\n")


def rows(dev: Dev, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(dev.folder / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        return warehouse.execute(query).fetchall()


def green(dev: Dev, assets: set[str]) -> bool:
    """Whether all these are there, and no check is waited for or was failed."""
    return dev.runs().keys() >= assets and set(dev.checks().values()) == {"SUCCEEDED"}


def made_again(dev: Dev, before: Mapping[str, str]) -> set[str]:
    """The assets that another run has materialized since, but for catalogs."""
    now = dev.runs().items()
    return {name for name, run in now if run != before.get(name) and "/catalog" not in name}


REGIONS = {
    "north": ("trees", "roads", "parks", "schools"),
    "south": ("trees", "shops", "wells", "farms"),
    "west": ("boats", "bridges", "beaches", "roads"),
}
PORTAL = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  portal: {url}
  name: {name}
  schema: {name}
  tables: {{ {tables} }}
  sensor:
    minimum_interval_seconds: 30
    running: true
"""
MODELS = {
    "west_boats": "select sum(people) as people from {{ source('west', 'boats') }}",
    "all_trees": "select sum(people) as people from {{ source('north', 'trees') }} "
    "union all select sum(people) from {{ source('south', 'trees') }}",
}


def made_in_yaml_alone(folder: Path, bin: Path, portals: Mapping[str, Emulator]) -> Path:
    """A project of `create-dagster`, with a folder for each portal, and dbt as in the example."""
    subprocess.run(
        [str(bin / "create-dagster"), "project", str(folder), "--no-uv-sync"],
        env=environment(folder.parent, bin),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    defs = folder / "src" / folder.name / "defs"
    sources = []
    for name, portal in portals.items():
        tables = ", ".join(f"{table}: {{}}" for table in REGIONS[name])
        (defs / name).mkdir()
        block = PORTAL.format(url=portal.url, name=name, tables=tables)
        (defs / name / "defs.yaml").write_text(block)
        listed = ", ".join(f"{{ name: {table} }}" for table in REGIONS[name])
        sources.append(f"  - {{ name: {name}, schema: {name}, tables: [{listed}] }}")
    shutil.copytree(EXAMPLE / "src" / "city" / "defs" / "marts", defs / "marts")
    models = folder / "dbt" / "models"
    models.mkdir(parents=True)
    for file in ("dbt/dbt_project.yml", "dbt/profiles.yml", "dagster.yaml"):
        shutil.copy(EXAMPLE / file, folder / file)
    (models / "sources.yml").write_text("\n".join(["sources:", *sources, ""]))
    for name, query in MODELS.items():
        (models / f"{name}.sql").write_text(query)
    hurried(folder)
    return folder


def test_three_portals_in_yaml_alone_load_by_themselves_and_follow_an_edit(
    bin: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        portals = {name: stack.enter_context(Emulator(sample=False)) for name in REGIONS}
        for name, portal in portals.items():
            publish(portal, *REGIONS[name])
        folder = made_in_yaml_alone(tmp_path / "regions", bin, portals)
        dev = stack.enter_context(developed(folder, bin))
        # The portals' sensors start by themselves, Dagster's own for everything else with a click.
        dev.switch_on("default_automation_condition_sensor")
        tables = {f"{name}/{table}" for name, listed in REGIONS.items() for table in listed}
        dev.until(lambda: green(dev, tables | MODELS.keys()))
        assert len(tables) == 12
        assert rows(dev, "SELECT people FROM marts.all_trees") == [(21,), (21,)]

        before = dev.runs()
        portals["south"].publish("trees", records=[*RECORDS, {"code": "x", "people": 79}])
        dev.until(lambda: "all_trees" in made_again(dev, before))
        assert sorted(rows(dev, "SELECT people FROM marts.all_trees")) == [(21,), (100,)]
        assert made_again(dev, before) == {"south/trees", "all_trees"}


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as serving:
        yield serving


@pytest.fixture(scope="module")
def city(bin: Path, portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """The example on a portal of these tests."""
    folder = copied(tmp_path_factory.mktemp("example"), portal)
    hurried(folder)
    with developed(folder, bin) as dev:
        yield dev


def alerts(city: Dev, word: str) -> list[str]:
    file = city.folder / "data" / "alerts.txt"
    said = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [line for line in said if word in line]


def records(portal: Emulator, asset: str) -> list[dict[str, Any]]:
    """A dataset's records, as its portal gives them."""
    path = f"/api/explore/v2.1/catalog/datasets/{asset.removeprefix('paris/')}/exports/json"
    found: list[dict[str, Any]] = requests.get(portal.url + path, timeout=30).json()
    return found


def edit(portal: Emulator, asset: str, rows: list[dict[str, Any]]) -> None:
    portal.publish(asset.removeprefix("paris/"), records=rows)


def test_the_example_is_green_from_nothing_without_a_click(city: Dev, portal: Emulator) -> None:
    made = {LIVE, PLACES, f"{PLACES}__features", "stations", "towns", "coverage"}
    city.until(lambda: green(city, made))
    assert f"{LIVE}:bikes_add_up" in city.checks()
    assert "stations:unique_stations_stationcode" in city.checks()
    stations = rows(city, "SELECT count(*), sum(capacity) FROM marts.stations")
    places = records(portal, PLACES)
    assert stations == [(len(places), sum(place["capacity"] for place in places))]
    towns = {row["nom_arrondissement_communes"] for row in records(portal, LIVE)}
    assert {town for (town,) in rows(city, "SELECT town FROM marts.towns")} <= towns
    assert 100 < city.metadata("coverage")["square_kilometres"] < 1000
    assert alerts(city, "") == []


def test_in_the_browser_lineage_leads_from_the_portal_to_a_dbt_model(
    city: Dev, tmp_path: Path
) -> None:
    with chromium(tmp_path) as driver:
        pages = Pages(driver, city.url)
        pages.open("/assets/stations?view=lineage&lineageScope=upstream&lineageDepth=4")
        pages.box("stations", "Materialized", "dbt")
        # The dataset on the portal and its own asset have one name.
        name = PLACES.removeprefix("paris/")
        for kind in ("opendatasoft", "Parquet"):
            pages.wait(rf"\n{name}\nLatest event\n(?:(?!Latest event).)*\n{kind}\n")


def test_dbt_waits_for_whoever_has_the_warehouse_open(city: Dev, bin: Path) -> None:
    folder, said = city.folder / "dbt", city.folder / "by_hand.txt"
    with said.open("wb") as printed, ExitStack() as stack:
        stack.enter_context(duckdb.connect(city.folder / "data" / "warehouse.duckdb"))
        dbt = subprocess.Popen(
            [str(bin / "dbt"), "run", "--debug", "--target-path", "by_hand"],
            cwd=folder,
            env=environment(city.folder, bin),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        city.until(lambda: "Opening a new connection" in said.read_text())
        stack.close()
        assert dbt.wait(120) == 0, said.read_text()


def test_an_edit_of_one_dataset_runs_it_and_what_is_made_of_it(city: Dev, portal: Emulator) -> None:
    before, query = city.runs(), "SELECT sum(bikes)::INTEGER FROM marts.towns"
    ((bikes,),) = rows(city, query)
    ((code,),) = rows(city, "SELECT max(stationcode) FROM marts.stations WHERE town IS NOT NULL")
    more = records(portal, LIVE)
    for row in more:
        if row["stationcode"] == code:
            row["mechanical"] += 7
            row["numbikesavailable"] += 7
    edit(portal, LIVE, more)
    city.until(lambda: made_again(city, before) >= {"towns", "stations"})
    city.until(lambda: set(city.checks().values()) == {"SUCCEEDED"})
    assert rows(city, query) == [(bikes + 7,)]
    assert made_again(city, before) == {LIVE, "stations", "towns"}


def typed(portal: Emulator, verb: str) -> None:
    """Do to the portal what the example's README shows."""
    (command,) = re.findall(rf"^\$ (curl .+/{verb}/.+)$", README, re.MULTILINE)
    words = shlex.split(command)
    url, *data = (word for word in words[3:] if word != "-d")
    assert words[:3] == ["curl", "-X", "POST"]
    # As curl sends it.
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if data else {}
    address = url.replace("http://127.0.0.1:8765", portal.url)
    assert requests.post(address, *data, headers=headers, timeout=30).ok


def test_the_same_rows_again_run_nothing_that_is_made_of_them(city: Dev, portal: Emulator) -> None:
    before = city.runs()
    typed(portal, "republish")
    city.until(lambda: made_again(city, before))
    looks = city.looked("downstream")
    city.until(lambda: city.looked("downstream") > looks + 1)
    assert made_again(city, before) == {LIVE}


def test_a_dataset_that_is_held_is_told_once(city: Dev, portal: Emulator) -> None:
    typed(portal, "publish")
    city.until(lambda: alerts(city, "held"))
    looks = city.looked("holds")
    city.until(lambda: city.looked("holds") > looks + 1)
    (told,) = alerts(city, "")
    assert (
        "velib-disponibilite-en-temps-reel (records) is held: the portal now gives 3 rows" in told
    )


def test_a_run_that_fails_is_told_in_a_sentence(city: Dev, portal: Emulator) -> None:
    fewer = records(portal, PLACES)[1:]
    portal.fail("velib-emplacement-des-stations/exports", Fault.short_rows(1, honest=True), None)
    edit(portal, PLACES, fewer)
    (told, *_) = city.until(lambda: alerts(city, "failed"))
    sentence = rf"Run [0-9a-f]{{8}} failed: .*{len(fewer) - 1} rows came where the portal counts .*"
    assert re.fullmatch(sentence, told)
    assert len(alerts(city, "velib-disponibilite-en-temps-reel (records) is held")) == 1
