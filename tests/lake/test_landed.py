"""What has landed is found by the names that people type; what has not is told in a sentence."""

from pathlib import Path

import pytest

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake import landed
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from tests.lake.landing import land


def said(data: Path, name: str, kind: landed.PartitionKind = "records", portal: str = "") -> str:
    with pytest.raises((ConfigurationError, LakeError)) as caught:
        landed.partition(data, name, kind, portal)
    return str(caught.value)


def test_where_nothing_has_landed_the_next_command_is_told(tmp_path: Path) -> None:
    assert said(tmp_path, "trees") == (
        f"nothing has landed in {tmp_path} yet: fetch something with "
        "`ods-pipeline --portal DOMAIN sync DATASET`, or name another data folder"
    )
    assert landed.portals(tmp_path) == []
    assert landed.landed(tmp_path) == []


def test_the_only_portal_need_not_be_named(tmp_path: Path) -> None:
    land(tmp_path, "a.test", "trees", title="Trees\nof the city", data_processed="2026-01-02T03:04")
    found = landed.partition(tmp_path, "trees")
    assert (found.portal, found.title, found.rows) == ("a.test", "Trees of the city", 3)
    assert found.as_of == "2026-01-02 03:04"
    assert repr(found) == "LandedDataset('trees', 'records', 'Trees of the city', 3 rows)"


def test_of_several_portals_one_has_to_be_named(tmp_path: Path) -> None:
    for portal in ("a.test", "b.test"):
        land(tmp_path, portal, "trees")
    (tmp_path / "lake" / ".hidden").mkdir()
    (tmp_path / "lake" / "notes").mkdir()
    assert landed.portals(tmp_path) == ["a.test", "b.test"]
    assert said(tmp_path, "trees") == (
        f"several portals have landed in {tmp_path}; name one of them, a.test or b.test"
    )
    assert said(tmp_path, "trees", portal="c.test") == (
        f"nothing of c.test has landed in {tmp_path}; name another portal, a.test or b.test"
    )
    assert landed.partition(tmp_path, "trees", portal="b.test").portal == "b.test"
    assert [item.portal for item in landed.landed(tmp_path)] == ["a.test", "b.test"]
    assert [item.portal for item in landed.landed(tmp_path, "b.test")] == ["b.test"]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("tree", "tree has not landed; did you mean street-trees or trees?"),
        ("TREES", "TREES has not landed; did you mean trees or street-trees?"),
        ("raods", "raods has not landed; did you mean roads?"),
        ("zzz", "zzz has not landed; landed are roads, street-trees and trees"),
        ("", " has not landed; landed are roads, street-trees and trees"),
        ("woods", "woods is called trees now"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_are_near(
    tmp_path: Path, typed: str, sentence: str
) -> None:
    land(tmp_path, "a.test", "trees", formerly='["woods"]')
    for name in ("roads", "street-trees"):
        land(tmp_path, "a.test", name)
    assert said(tmp_path, typed).endswith(sentence.strip())


def test_of_many_names_the_first_are_told(tmp_path: Path) -> None:
    for number in range(13):
        land(tmp_path, "a.test", f"d{number:02}")
    assert said(tmp_path, "zzz").endswith("d08, d09 and 3 more")


def test_a_layer_that_was_never_fetched_is_told_with_the_command(tmp_path: Path) -> None:
    land(tmp_path, "a.test", "trees")
    assert said(tmp_path, "trees", "features") == (
        "trees has landed as records alone; fetch its layer with "
        "`ods-pipeline sync trees --features`"
    )
    assert said(tmp_path, "x", "features") == "x has not landed as a layer; landed are none"


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = land(tmp_path, "a.test", "trees")
    path.write_bytes(b"nothing")
    assert said(tmp_path, "trees").endswith(
        "trees.parquet is damaged; delete it and sync trees again"
    )


def test_lists_of_what_landed_are_short(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        land(tmp_path, "a.test", name)
    found = landed.landed(tmp_path)
    assert repr(found) == "<4 landed: 'a', 'b', 'c', …>"
    assert repr(landed.LandedDatasets()) == "<nothing landed>"
    lake = Lake.of(tmp_path, "a.test")
    assert landed.LandedDataset.of(lake, "records", Receipt("a.test", "records", "x")).as_of == ""
