"""Attachments, files of records and exports of the catalog as assets, where a block names them."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.file_partitions import has_some
from ods_pipeline.dataset import Dataset
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.datasets.file_values import picture
from ods_pipeline.errors import QuotaExhausted
from ods_pipeline.sync.file_choices import CatalogExportChoice, FileChoice
from ods_pipeline.sync.file_keeping import FileOutcome
from ods_pipeline.sync.kept_folders import KeptFolder
from tests.dagster.world import World, publish, reason, settings_for, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
ALL = FileChoice(include=["*"])
PHOTOS = {f"photo {number}.png": picture(str(number)) for number in range(3)}


@pytest.fixture
def there(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    """A portal of photographs, of a plan beside records, of a plan alone, and of neither."""
    portal.point_to("art", PHOTOS)
    publish(portal, "plans", "bare")
    portal.attach("plans", "plan", b"%PDF-1.7 a plan", "Plan.pdf", "application/pdf")
    portal.publish("alone", [], has_records=False)
    portal.attach("alone", "note", b"a note", "note.txt", "text/plain")
    with world(tmp_path, portal, attachments=ALL, files=ALL) as made:
        yield made


FILES = ("attachments", "files", "catalog_export")


def asked(there: World, names: Sequence[str] = FILES) -> set[str]:
    """What automation asks for of the files, as `attachments:plans`."""
    there.automation = dg.evaluate_automation_conditions(
        there.defs, there.instance, cursor=there.automation and there.automation.cursor
    )
    keys = {name: there.settings.key(name) for name in names}
    known = there.repository.asset_graph.get_all_asset_keys()
    return {
        f"{name}:{partition or ''}"
        for name, key in keys.items()
        if key in known
        for partition in there.automation.get_requested_partitions(key)
    }


def settle(there: World, names: Sequence[str] = FILES) -> set[str]:
    """Look, and run what is asked for until nothing is: all that was."""
    there.look()
    found: set[str] = set()
    while wanted := asked(there, names):
        found |= wanted
        for text in sorted(wanted):
            name, _, partition = text.partition(":")
            there.run(name, over=partition or None, raise_on_error=False)
        assert len(found) < 20
    return found


def folder(there: World, kind: str, dataset: str = "") -> dict[str, bytes]:
    root = Path(there.settings.attributes.data_dir) / "files" / there.settings.slug / kind / dataset
    return {p.name: p.read_bytes() for p in root.iterdir() if p.name not in {"files.json"}
            and not p.name.startswith(".")}  # fmt: skip


def test_without_a_word_there_are_no_such_assets_and_each_word_makes_its_own() -> None:
    def names(**attributes: Any) -> set[str]:
        defs = OpendatasoftPortal(portal="data.test", **attributes).build_defs(None)  # type: ignore[arg-type]
        return {key.path[-1] for key in defs.resolve_asset_graph().get_all_asset_keys()}

    usual = {"dataset", "catalog", "records", "table"}
    assert names() == usual
    assert names(files={"include": ["a"]}) == usual | {"dataset_of_files", "files"}
    assert names(attachments={"include": ["a"]}) == usual | {"dataset_of_files", "attachments"}
    assert names(catalog_export={"formats": ["csv"]}) == usual | {"catalog_export"}


def test_partitions_are_the_datasets_that_have_such_files(there: World) -> None:
    there.look()
    name = there.settings.name
    found = {
        kind: set(there.instance.get_dynamic_partitions(f"{name}/{kind}"))
        for kind in ("attachments", "files", "dataset_of_files", "datasets")
    }
    assert found == {
        "attachments": {"plans", "alone"},
        "files": {"art"},
        "dataset_of_files": {"plans", "alone", "art"},
        "datasets": {"plans", "bare", "art"},
    }


def test_files_run_when_something_of_their_dataset_changed_and_then_alone(there: World) -> None:
    assert settle(there) == {"attachments:plans", "attachments:alone", "files:art"}
    assert folder(there, "files", "art") == PHOTOS
    assert folder(there, "attachments", "plans") == {"Plan.pdf": b"%PDF-1.7 a plan"}
    assert folder(there, "attachments", "alone") == {"note.txt": b"a note"}
    assert settle(there) == set()
    there.portal.attach("plans", "more", b"more", "more.txt", "text/plain")
    assert settle(there) == {"attachments:plans"}
    assert set(folder(there, "attachments", "plans")) == {"Plan.pdf", "more.txt"}
    there.portal.point_to("art", PHOTOS | {"new.png": picture("new")})
    there.sent()
    assert settle(there) == {"files:art"}
    assert value(there.latest("files", "art"), "fetched") == 1


def test_a_run_with_nothing_new_fetches_nothing_and_keeps_its_version(there: World) -> None:
    settle(there)
    before = there.latest("files", "art")
    there.portal.requests.clear()
    there.run("files", over="art")
    conditions = [r.headers for r in there.portal.requests if "/files/" in r.path]
    assert len(conditions) == 3
    assert all("if-none-match" in headers for headers in conditions)
    after = there.latest("files", "art")
    assert (value(after, "fetched"), value(after, "unchanged")) == (0, 3)
    assert value(after, "changed") == "none"
    assert before.tags["dagster/data_version"] == after.tags["dagster/data_version"]


def test_the_page_shows_figures_what_changed_a_table_and_small_pictures(there: World) -> None:
    settle(there)
    event = there.latest("files", "art")
    assert (value(event, "files"), value(event, "bytes")) == (3, sum(map(len, PHOTOS.values())))
    assert "photo 1.png" in value(event, "changed")
    assert "| photo 1.png | photo 1.png | image/png |" in value(event, "preview")
    assert str(value(event, "dagster/uri")).endswith("/files/art")
    pictures = re.findall(r"!\[picture\]\(data:image/jpeg;base64,[\w+/=]+\)", str(
        value(event, "thumbnails")))  # fmt: skip
    assert len(pictures) == 3
    assert len(json.dumps([str(entry.value) for entry in event.metadata.values()])) < 40_000


def test_names_of_a_portal_link_and_load_nothing_in_the_page(there: World) -> None:
    evil = "![x](http://evil.test/p.png) | <img src=x>.png"
    there.portal.point_to("art", {evil: picture("evil"), "www.evil.test.png": b"no picture"})
    settle(there)
    event = there.latest("files", "art")
    for key in ("changed", "preview", "thumbnails"):
        text = re.sub(r"!\[picture\]\(data:[^)]*\)", "", str(value(event, key)))
        assert not re.search(r"(?<!\\)[\[<]|(?<!\\)://|www\.", text), text
    assert str(value(event, "thumbnails")).count("data:") == 1


def test_a_file_that_fails_fails_the_run_by_name_and_the_others_are_kept(there: World) -> None:
    there.look()
    there.portal.fail("/files/", Fault.status(404), 1)
    result = there.run("files", over="art", raise_on_error=False)
    assert "1 of 3 files failed, the others are kept: file/" in reason(result)
    assert len(folder(there, "files", "art")) == 2
    assert there.run("files", over="art").success
    assert folder(there, "files", "art") == PHOTOS
    assert value(there.latest("files", "art"), "fetched") == 1


def test_one_datasets_failure_costs_no_other_its_event(there: World) -> None:
    there.look()
    there.portal.fail("plans/attachments/plan", Fault.status(404), None)
    result = there.run("attachments", over=["alone", "plans"], raise_on_error=False)
    assert "1 of 2 datasets failed: plans: 1 of 1 files failed" in reason(result)
    assert value(there.latest("attachments", "alone"), "files") == 1


def test_a_spent_quota_puts_the_rest_off_as_it_does_for_records(there: World) -> None:
    there.look()
    there.portal.fail("/files/", Fault.quota("2099-01-01T00:00:00Z"), None)
    result = there.run("files", over="art", raise_on_error=False)
    assert reason(result).startswith("deferred: art: 3 of 3 files wait for the quota")
    (failed,) = [item for item in result.all_events if item.is_step_failure]
    assert "deferred_until" in failed.step_failure_data.user_failure_data.metadata


def test_the_quota_of_one_dataset_puts_off_that_one_alone(there: World) -> None:
    there.portal.point_to("birds", PHOTOS)
    there.look()
    there.portal.ration_dataset("art", 0)
    result = there.run("files", over=["art", "birds"], raise_on_error=False)
    assert "1 of 2 datasets are deferred: " in reason(result)
    assert value(there.latest("files", "birds"), "files") == 3


def test_files_that_wait_for_the_quota_of_their_dataset_say_so(tmp_path: Path) -> None:
    spent = QuotaExhausted("the quota is spent")
    spent.of_dataset = True
    outcomes = [FileOutcome.deferred("file/a", "", spent), FileOutcome("file/b", "", "fetched")]
    problem = KeptFolder("data.test", "art", tmp_path, [], outcomes, 1, 1.0).problem
    assert isinstance(problem, QuotaExhausted)
    assert problem.of_dataset


def test_a_catalog_that_says_nothing_of_attachments_is_no_catalog_without_them() -> None:
    entry = {"dataset_id": "a", "fields": [], "metas": {}}
    silent, none, some = (
        Dataset.from_api("data.test", entry | more)
        for more in ({}, {"attachments": []}, {"attachments": [{"id": "x"}]})
    )
    assert [has_some("attachments", dataset) for dataset in (silent, none, some)] == [
        True,
        False,
        True,
    ]


def test_names_that_match_nothing_with_files_are_warned_of(
    tmp_path: Path, portal: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(portal, "bare")
    with world(tmp_path, portal, files=ALL) as there:
        there.look()
    assert "no dataset that `files` includes has any" in capfd.readouterr().err


def test_a_dataset_under_tables_has_its_files_as_a_partition_too(
    tmp_path: Path, portal: Emulator
) -> None:
    portal.point_to("art", PHOTOS)
    with world(tmp_path, portal, tables={"art": {}}, files=ALL) as there:
        assert settle(there) == {"files:art"}
        assert folder(there, "files", "art") == PHOTOS


def test_other_limits_are_another_version_of_the_code(tmp_path: Path, portal: Emulator) -> None:
    portal.point_to("art", PHOTOS | {"note.txt": b"a note"})
    limited = FileChoice(include=["art"], media_type="text/*")
    with world(tmp_path, portal, files=limited) as there:
        settle(there)
        event = there.latest("files", "art")
        assert (value(event, "left_out"), value(event, "files")) == (4, 0)
        codes = [
            settings.key("files")
            and OpendatasoftPortal(portal="data.test", files=choice)
            .build_defs(None)  # type: ignore[arg-type]
            .resolve_asset_graph()
            .get(settings.key("files"))
            .code_version
            for choice in (limited, ALL)
            for settings in [settings_for("data.test", files=choice)]
        ]
        assert codes[0] != codes[1]


def test_exports_of_the_catalog_follow_the_landed_catalog(tmp_path: Path, portal: Emulator) -> None:
    publish(portal, "trees")
    exports = CatalogExportChoice(formats=["csv", "json"])
    with world(tmp_path, portal, catalog_export=exports) as there:
        there.look()
        there.run("catalog")
        assert settle(there) == {"catalog_export:"}
        assert set(folder(there, "catalog")) == {"catalog.csv", "catalog.json"}
        event = there.latest("catalog_export")
        assert (value(event, "files"), value(event, "fetched")) == (2, 2)
        assert "live count 1" in value(event, "changed")
        there.portal.requests.clear()
        there.run("catalog_export")
        assert there.sent() == []
        publish(portal, "roads")
        assert settle(there, ["catalog", "catalog_export"]) == {"catalog:", "catalog_export:"}
        assert b"roads" in folder(there, "catalog")["catalog.csv"]


def test_a_format_that_the_portal_has_not_fails_and_the_others_are_kept(
    tmp_path: Path, portal: Emulator
) -> None:
    publish(portal, "trees")
    with world(tmp_path, portal, catalog_export={"formats": ["dcat_x", "json"]}) as there:
        result = there.run("catalog_export", raise_on_error=False)
        assert "1 of 2 files failed, the others are kept: catalog_export/dcat_x" in reason(result)
        assert set(folder(there, "catalog")) == {"catalog.json"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"attachments": {"largest_mb": 0}},
        {"files": {"media_type": " "}},
        {"files": {"include": [""]}},
        {"catalog_export": {"formats": [" "]}},
    ],
)
def test_what_cannot_be_kept_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"give more than 0|is blank|names nothing"):
        settings_for("data.test", **attributes)
