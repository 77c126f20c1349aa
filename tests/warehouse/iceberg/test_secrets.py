"""No error of a catalog, and nothing that can be printed of one, has its secrets in it."""

import sqlite3
import traceback
from pathlib import Path

import pytest

from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.warehouse import open_warehouse
from ods_pipeline.warehouse.iceberg.failures import failure
from ods_pipeline.warehouse.opening import public_url
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.iceberg.catalogs import configured, embedded
from tests.warehouse.partitions import Column, land

SECRET = "the-secret-of-the-store"


def test_an_error_of_the_catalog_shows_no_secret_in_any_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "uri": f"http://me:{SECRET}@127.0.0.1:1/{SECRET}",
        "token": SECRET,
        "s3.secret-access-key": SECRET,
    }
    configured(monkeypatch, settings)
    with pytest.raises(OdsPipelineError) as caught:
        open_warehouse("iceberg:lake")
    error = caught.value
    assert "iceberg:lake" in str(error)
    assert error.__cause__ is None
    shown = (str(error), repr(error), repr(vars(error)), *traceback.format_exception(error))
    assert not [text for text in shown if SECRET in text]
    assert SECRET not in str(failure(OSError(f"no access with {SECRET}"), "iceberg:lake"))


def test_the_address_of_a_server_for_tokens_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://tokens.example:8181/v1/oauth/tokens"
    settings = {"uri": "http://127.0.0.1:1", "oauth2-server-uri": address, "credential": "me:S-3-C"}
    configured(monkeypatch, settings)
    with pytest.raises(OdsPipelineError):
        open_warehouse("iceberg:lake")
    said = str(failure(OSError(f"no answer from {address} to S-3-C"), "iceberg:lake"))
    assert address in said
    assert "S-3-C" not in said


def test_a_warehouse_and_its_url_show_the_name_of_the_catalog_alone(
    store: Iceberg, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, {"s3.secret-access-key": SECRET})
    with store.open() as opened:
        assert SECRET not in repr(vars(opened))
    assert public_url("iceberg:lake?keep_days=3") == "iceberg:lake?keep_days=3"
    assert SECRET not in public_url(f"iceberg:me:{SECRET}@lake")


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, {**embedded(tmp_path), "warehouse": "file:///dev/null/tables"})
    path = land(tmp_path / "velos.parquet", {"a": Column(["1"])})
    with (
        open_warehouse("iceberg:lake") as opened,
        pytest.raises(OdsPipelineError, match=r"velos: a file of iceberg:lake cannot be .*written"),
    ):
        opened.load(path, verdict="new")


def test_a_catalog_that_is_locked_says_so_and_the_next_load_goes_on(
    store: Iceberg, tmp_path: Path
) -> None:
    path = land(tmp_path / "velos.parquet", {"a": Column(["1"])})
    with store.open() as opened:
        opened.load(path, verdict="new")
        land(path, {"a": Column(["2"])})
        other = sqlite3.connect(tmp_path / "catalog.db")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OdsPipelineError, match="database is locked"):
            opened.load(path, verdict="data")
        other.rollback()
        other.close()
        assert opened.load(path, verdict="data").action == "loaded"
    assert store.rows("velos") == [("2",)]
