"""What a person sees of datasets that are assets of their own, in a real browser over `dg dev`."""

import re
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from ods_pipeline.emulator import Emulator
from tests.servers.pages import Pages, chromium
from tests.servers.project import NAME, running

STATIONS = "velib-emplacement-des-stations"
BORDERS = "world-administrative-boundaries"
DAYS = "temperature-quotidienne-regionale"

DEFS = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  portal: {url}
  name: {name}
  features:
    include: [world-administrative-boundaries]
  tables:
    velib-emplacement-des-stations:
      asset:
        owners: ["team:mobility"]
        tags: {{ tier: gold }}
        freshness: 24
    world-administrative-boundaries: {{}}
    temperature-quotidienne-regionale:
      where: date >= date'2018-01-01'
      asset:
        description: Temperatures by region, for the heating model.
  sensor:
    minimum_interval_seconds: 5
    running: true
"""

# Starting Dagster and loading the datasets belong to the first test.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(2700)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages, once the datasets have been loaded without a click and definitions reloaded."""
    with (
        Emulator() as portal,
        running(tmp_path_factory.mktemp("project"), portal.url, DEFS) as project,
        chromium(tmp_path_factory.mktemp("profile")) as driver,
    ):
        portal.describe(STATIONS, attributions="Ville de Paris", update_frequency="ANNUAL")
        opened = Pages(driver, project.url)
        for name in (STATIONS, DAYS, BORDERS, f"{BORDERS}__features"):
            opened.asset(name)
            opened.wait(r"\nRow count\n")
        # Titles are part of the definitions, which are made of what is landed.
        opened.graph()
        opened.click("Reload definitions")
        opened.asset(STATIONS)
        opened.wait(r"\nDescription\nVélib")
        yield opened


def test_the_name_of_a_dataset_finds_its_asset(pages: Pages) -> None:
    pages.open("/runs")
    pages.search("temperature-quot")
    pages.says(rf"\n{NAME} / {DAYS}\nAsset in ", rf"\n{NAME} / dataset / {DAYS}\nAsset in ")
    pages.driver.switch_to.active_element.send_keys(Keys.ENTER)
    pages.says(r"\nDescription\nTemperatures by region, for the heating model\.\n")
    assert pages.driver.current_url.partition("?")[0].endswith(f"/assets/{NAME}/{DAYS}")


@pytest.fixture(scope="module")
def page(pages: Pages) -> str:
    """The page of one dataset, with all that it says; each look at it costs a second or more."""
    pages.asset(STATIONS)
    pages.says(r"\nRow count\n", r"\nColumns\n", r"\nportal_page\n", r"\nUpstream assets\n")
    return pages.text


@pytest.mark.parametrize(
    "said",
    [
        r"Description\nVélib - Localisation et caractéristique des stations\n"
        r"Emplacement et capacité des stations Vélib\.\n",
        r"publisher\n[^\n]+\nAutolib Velib Métropole\n",
        r"licence\n[^\n]+\nOpen Database License \(ODbL\)\n",
        r"attribution\n[^\n]+\nVille de Paris\n",
        rf"portal_page\n[^\n]+\nhttp://127\.0\.0\.1:\d+/explore/dataset/{STATIONS}/\n",
    ],
)
def test_its_page_says_what_the_portal_says_of_the_dataset(page: str, said: str) -> None:
    assert re.search(rf"\n{said}", page), page


@pytest.mark.parametrize(
    "said",
    [
        r"stationcode\nstring\nIdentifiant station\n",
        r"capacity\nint64\nCapacité de la station\n",
        r"coordonnees_geo\ngeometry\nOGC:CRS84\nCoordonnées géographiques\n",
    ],
)
def test_its_page_shows_columns_with_types_labels_and_reference_systems(
    page: str, said: str
) -> None:
    assert re.search(rf"\n{said}", page), page


@pytest.mark.parametrize(
    "said",
    [
        r"Row count\n1,496\n",
        rf"Storage\n127_0_0_1_\d+\.{STATIONS}\n",
        rf"file:///[^\n]*/records/{STATIONS}\.parquet\n",
    ],
)
def test_its_page_says_how_many_rows_there_are_and_where(page: str, said: str) -> None:
    assert re.search(rf"\n{said}", page), page


@pytest.mark.parametrize(
    "said",
    [
        r"Owners\nmobility\n",
        r"tier: gold\n",
        r"Kinds\nDuckDB\nParquet\n",
        r"Freshness policy\nPassing\n",
        r"Fails if more than 24 hours since last materialization\n",
    ],
)
def test_its_page_shows_what_the_team_has_decided(page: str, said: str) -> None:
    assert re.search(rf"\n{said}", page), page


@pytest.mark.parametrize("name", [STATIONS, f"{BORDERS}__features"])
def test_a_geographic_dataset_has_a_map(pages: Pages, name: str) -> None:
    pages.asset(name)
    width, height = pages.picture("map")
    # A wide layer's picture has no empty lines above and below it.
    assert width == 340
    assert 100 < height <= 220


def test_all_its_checks_are_evaluated_with_the_first_fetch(pages: Pages) -> None:
    pages.asset(STATIONS, "checks", checkDetail="on_time")
    passed = ("complete", "schema_unchanged", "values_kept")
    pages.says(*(rf"\n{check}\nSucceeded\n" for check in passed))
    # The sample is of the year in which it was taken.
    pages.says(r"\non_time\nFailed\n", r"\ndata of 2024-07-30 00:00 UTC, declared ANNUAL\n")


def test_lineage_leads_from_the_dataset_on_the_portal_to_its_asset(pages: Pages) -> None:
    pages.asset(BORDERS)
    pages.says(rf"\nUpstream assets\n{NAME} / dataset / {BORDERS}\n")
    pages.asset(f"dataset/{BORDERS}")
    pages.says(
        r"\nExternal Asset\n",
        rf"\nDownstream assets\n(?=.*\b{NAME} / {BORDERS}\n).*{NAME} / {BORDERS}__features\n",
    )
    pages.asset(BORDERS, "lineage", lineageScope="upstream")
    pages.box(BORDERS, "Materialized", "opendatasoft")
