"""What a person sees of a portal in Dagster, in a real browser over a real `dg dev`."""

import re
from collections.abc import Iterator

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests.servers.pages import Pages, chromium
from tests.servers.project import Project, running

# Starting Dagster and loading the portal belong to the first test.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(2700)]


# For these tests alone: daemon and pages cost a fifth of two cores for as long as they are up.
@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as serving:
        yield serving


@pytest.fixture(scope="module")
def project(portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with running(tmp_path_factory.mktemp("project"), portal.url) as started:
        yield started


@pytest.fixture(scope="module")
def pages(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages, once the whole portal has been loaded without a click."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        opened = Pages(driver, project.url)
        opened.graph()
        opened.box("catalog", "Materialized")
        for loaded in ("table", "layer"):
            opened.box(loaded, "100% filled")
        yield opened


def test_the_graph_leads_from_the_dataset_to_all_that_is_made_of_it(pages: Pages) -> None:
    pages.graph()
    pages.box("dataset", "100% filled", "12 partitions", "opendatasoft")
    pages.box("catalog", "Materialized", "Parquet", "DuckDB")
    pages.box("records", "3 / 3 Passed", "100% filled", "12 partitions", "Parquet")
    pages.box("table", "100% filled", "12 partitions", "DuckDB")
    pages.box("features", "3 / 3 Passed", "100% filled", "3 partitions", "Parquet")
    pages.box("layer", "100% filled", "3 partitions", "DuckDB")


@pytest.mark.parametrize("asset", ["features", "layer"])
def test_a_layer_is_shown_as_a_map(pages: Pages, asset: str) -> None:
    pages.partition(asset, "world-administrative-boundaries")
    pages.says(r"\ndagster/partition_row_count\n52\n")
    width, height = pages.picture("map")
    # A wide layer's picture has no empty lines above and below it.
    assert width == 340
    assert 100 < height <= 220


def test_a_layer_says_how_it_was_proven(pages: Pages) -> None:
    pages.partition("features", "world-administrative-boundaries")
    pages.says(
        r"\nproof\n52 features = hits 52 = live count 52; data_processed stood at ",
        r"\nformat\ngml\n",
    )


def test_a_loaded_dataset_shows_its_rows_its_columns_and_why_it_was_fetched(pages: Pages) -> None:
    pages.partition("records", "velib-emplacement-des-stations")
    pages.says(
        r"\nMaterialized\n",
        r"\nverdict\nnew\n",
        r"\nreason\nnothing landed yet\n",
        r"\ndagster/partition_row_count\n1496\n",
        r"\npreview\nstationcode name capacity\n\d{4,5} ",
        r"\nlicence\nOpen Database License \(ODbL\)\n",
        r"\nproof\n1496 rows = live count 1496; data_processed stood at ",
    )
    pages.says(r"\ncapacity\nint64\nCapacité de la station\n", r"\ncoordonnees_geo\ngeometry\n")


def test_its_table_says_where_it_is_in_the_warehouse(pages: Pages) -> None:
    pages.partition("table", "velib-emplacement-des-stations")
    pages.says(
        r"\ndagster/table_name\n127_0_0_1_\d+\.velib-emplacement-des-stations\n",
        r"\ndagster/partition_row_count\n1496\n",
        r"\naction\nloaded\n",
    )


def test_the_catalog_is_fresh_and_counts_the_datasets(pages: Pages) -> None:
    pages.asset("catalog")
    pages.says(r"\nFreshness policy\nPassing\n", r"\nRow count\n14\n", r"\ndataset_uid\nstring\n")


def test_changes_that_leave_the_rows_alone_stop_before_the_table(
    pages: Pages, portal: Emulator
) -> None:
    described, republished, changed = "public-art", "weather-stations", "public-trees"
    before = {name: pages.run_of("table", name) for name in (described, republished, changed)}

    portal.describe(described, publisher="Somebody else")
    portal.republish(republished, shuffle=True)
    portal.lie(changed, title="Street trees of Vancouver")

    pages.partition("records", described)
    pages.says(r"\nverdict\nmetadata\n", r"\npublisher\nSomebody else\n")
    pages.partition("records", republished)
    pages.says(r"\nverdict\ndata\n", r"\nsame_content\ntrue\n")
    # The third has to follow in the warehouse: once it has, the other two had their chance.
    pages.partition("table", changed)
    pages.wait(rf"\bRun\n(?!{before[changed]})[0-9a-f]{{8}}\b")

    assert pages.run_of("table", described) == before[described]
    assert pages.run_of("table", republished) == before[republished]


def test_a_publisher_who_sends_too_few_rows_fails_the_check_and_the_old_rows_stay(
    pages: Pages, portal: Emulator, project: Project
) -> None:
    name = "world-administrative-boundaries"
    before = project.landed(name)

    portal.fail(f"{re.escape(name)}/exports", Fault.short_rows(3), times=None)
    portal.republish(name)

    pages.asset("records", "checks", checkDetail="complete")
    pages.says(r"\ncomplete\nFailed\n")
    pages.says(r"\nEvaluation result\nFailed\n", rf"{name}.*49")
    pages.partition("records", name)
    pages.says(r"\nFailed \(1\)\n", r"\nRun [0-9a-f]{8} failed, and did not materialize this asset")
    pages.says(rf"\n{name}\nMaterialized\n", r"\ndagster/partition_row_count\n52\n")
    pages.graph()
    pages.box("records", "2 / 3 Passed")
    assert project.landed(name).equals(before)


def test_nothing_printed_in_the_terminal_asks_to_be_mended(project: Project) -> None:
    printed = project.log.read_text()
    assert "Serving dagster-webserver" in printed
    assert not re.findall(r".*(?:Deprecat|Warning:|beta|preview|superseded).*", printed)
