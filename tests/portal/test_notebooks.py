"""What somebody in a notebook has of a portal: short texts, properties, streams, frames."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import polars
import pyarrow as pa
import pytest

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError, DatasetNotFound, Unproven
from ods_pipeline.portal import progress
from ods_pipeline.portal.portal import Portal
from tests.cli.screen import plain, shown
from tests.pages import read

TREES = "public-art"
STATIONS = "velib-emplacement-des-stations"


@pytest.fixture(scope="module")
def sample() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def city(sample: Emulator) -> Portal:
    return Portal(sample.url)


def test_objects_are_a_short_line_each(city: Portal) -> None:
    stations = city.dataset(STATIONS)
    assert repr(city) == f"Portal({city.client.address.base!r})"
    assert repr(stations).startswith(f"Dataset({STATIONS!r}, ")
    assert repr(stations).endswith(f"{len(stations.fields)} fields)")
    assert repr(Field("code", "text", "Code")) == "Field('code', 'text', 'Code')"
    assert repr(city.datasets()).startswith("<14 datasets: ")
    assert repr(city.search("nothing is called so")) == "<no datasets>"


def test_a_notebook_shows_tables(city: Portal) -> None:
    stations = city.dataset(STATIONS)
    assert all(field.name in read(stations._repr_html_()).text for field in stations.fields)
    assert STATIONS in read(city.datasets()._repr_html_()).text
    assert city.client.address.base in read(city._repr_html_()).text


@pytest.mark.parametrize(
    ("metas", "publisher", "themes", "languages"),
    [
        ({}, "", (), ()),
        ({"publisher": None, "theme": None, "language": None}, "", (), ()),
        (
            {"publisher": "Ville", "theme": "Arbres", "language": "fr"},
            "Ville",
            ("Arbres",),
            ("fr",),
        ),
        (
            {
                "publisher": ["A", "B"],
                "theme": ["x", None, "y"],
                "metadata_languages": ["fr", "en"],
            },
            "A, B",
            ("x", "y"),
            ("fr", "en"),
        ),
        ({"publisher": "two\nlines", "theme": "", "language": 7}, "two lines", (), ("7",)),
    ],
)
def test_a_dataset_knows_its_metadata_in_every_shape(
    metas: dict[str, Any], publisher: str, themes: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    dataset = Dataset.from_api("p", {"dataset_id": "d", "metas": {"default": metas}})
    assert dataset.publisher == publisher
    assert dataset.themes == themes
    assert dataset.languages == languages
    assert dataset.keywords == ()
    assert dataset.license == ""


def test_a_dataset_knows_keywords_licence_and_frequency() -> None:
    metas = {
        "default": {"keyword": ["trees", "wood"], "license": "ODbL"},
        "dcat": {"accrualperiodicity": "daily"},
    }
    dataset = Dataset.from_api("p", {"dataset_id": "d", "metas": metas})
    assert dataset.keywords == ("trees", "wood")
    assert (dataset.license, dataset.frequency) == ("ODbL", "daily")


def test_a_stream_takes_what_records_takes(city: Portal) -> None:
    asked: dict[str, Any] = {"where": "capacity > 40", "order_by": "stationcode", "limit": 5}
    whole = city.records(STATIONS, **asked)
    assert pa.Table.from_batches(list(city.record_batches(STATIONS, **asked))) == whole
    assert whole.num_rows == 5
    with city.record_batches(STATIONS, "csv", **asked) as stream:
        assert stream.schema == whole.schema
        assert stream.read_all() == whole
        assert list(stream) == []
    assert repr(stream) == f"RecordStream({STATIONS!r}, at its end)"


def test_a_stream_requests_nothing_before_it_is_used(city: Portal) -> None:
    before = city.client.requests_made
    unused = city.record_batches("there-is-no-such-dataset")
    assert city.client.requests_made == before
    with pytest.raises(DatasetNotFound):
        next(unused)


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_stream_that_is_closed_or_dropped_ends_the_download(
    emulator: Emulator, portal: Portal, format: Any
) -> None:
    emulator.make_big("big", rows=70_000)
    closed = portal.record_batches("big", format)
    next(closed)
    assert "ahead" in str(threading.enumerate())
    closed.close()
    assert "ahead" not in str(threading.enumerate())
    for _ in portal.record_batches("big", format):
        break
    assert "ahead" not in str(threading.enumerate())
    with pytest.raises(ConfigurationError, match="were closed before their end"):
        closed.read_all()


def test_a_stream_that_is_not_all_says_so_instead_of_ending(sample: Emulator) -> None:
    sample.fail(f"{STATIONS}/exports/parquet", Fault.short_rows(3), times=1)
    stream = Portal(sample.url).record_batches(STATIONS)
    with pytest.raises(Unproven):
        list(stream)
    with pytest.raises(ConfigurationError):
        next(stream)


def test_records_and_streams_go_where_arrow_goes(city: Portal) -> None:
    table = city.records(TREES)
    frame = geopandas.GeoDataFrame.from_arrow(table)
    assert len(frame) == table.num_rows
    assert frame.crs == "OGC:CRS84"
    with duckdb.connect() as connection:
        connection.register("rows", city.record_batches(TREES))
        assert connection.sql("SELECT count(*) FROM rows").fetchall() == [(len(frame),)]
    plain_columns = city.record_batches(TREES, select="title_of_work, type")
    assert len(polars.DataFrame(plain_columns)) == len(frame)


READ = """
import sys
from ods_pipeline import Portal
portal = Portal(sys.argv[1], progress=sys.argv[2] == "on")
print(portal.{read}("public-art").shape)
"""


@pytest.mark.parametrize("read", ["records", "features"])
@pytest.mark.parametrize("wanted", ["on", "off"])
def test_a_long_read_shows_how_much_came_where_somebody_watches(
    tmp_path: Path, read: str, wanted: str
) -> None:
    size = 30_000 if read == "records" else 400_000
    where = "exports/parquet" if read == "records" else "GetFeature"
    with Emulator() as slow:
        slow.fail(where, Fault.slow(size), times=None)
        words = ("-c", READ.format(read=read), slow.url, wanted)
        status, text = shown(tmp_path, {}, 80, *words, program=sys.executable)
    assert status == 0, text
    assert ("kB" in text or "MB" in text) == (wanted == "on"), text
    # The bar is gone at the end, and the result is there.
    last = plain(text).strip().splitlines()[-1]
    assert last.startswith("(665, "), text


def test_nobody_is_told_where_nothing_hangs_on_the_hook(city: Portal) -> None:
    with progress.watched("d", wanted=True) as received:
        assert received(3) is None
