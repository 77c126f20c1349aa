"""The files that records point to are kept like attachments, beside them, and each once."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline import ApiKey
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.datasets.file_values import picture, recorded
from ods_pipeline.portal.files.remote_file import RemoteFile
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_keeping import (
    DOCUMENTS,
    OF_RECORDS,
    FileLimits,
    FileOutcome,
    keep_files,
)
from tests.portal.answers import portal_of

OURS = {"files.json", ".files.lock"}
PHOTOS = {f"photo {number}.png": picture(str(number)) for number in range(4)}
TYPED = [{"name": "photo", "type": "file"}]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=10**6) as running:
        running.point_to("art", PHOTOS)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def keep(emulator: Emulator, folder: Path, limits: FileLimits | None = None) -> list[FileOutcome]:
    portal = Portal(emulator.url, pause=0.01)
    found = portal.record_files("art")
    emulator.requests.clear()
    return list(keep_files(portal, found, folder, limits or FileLimits(), kinds=OF_RECORDS))


def actions(emulator: Emulator, folder: Path) -> Counter[str]:
    return Counter(outcome.action for outcome in keep(emulator, folder))


def kept(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {name: content for name, content in found.items() if name not in OURS}


def only(outcomes: list[FileOutcome], action: str) -> FileOutcome:
    (found,) = [outcome for outcome in outcomes if outcome.action == action]
    return found


def test_photographs_come_once_under_their_names_and_only_changed_ones_again(
    emulator: Emulator, folder: Path
) -> None:
    assert actions(emulator, folder) == {"fetched": 4}
    assert kept(folder) == PHOTOS
    assert actions(emulator, folder) == {"unchanged": 4}
    assert all("if-none-match" in request.headers for request in emulator.requests)
    emulator.point_to("art", PHOTOS | {"photo 2.png": picture("another")})
    assert actions(emulator, folder) == {"unchanged": 3, "fetched": 1}
    assert kept(folder) == PHOTOS | {"photo 2.png": picture("another")}


def test_a_file_that_no_record_points_to_any_more_stays_and_is_said_once(
    emulator: Emulator, folder: Path
) -> None:
    keep(emulator, folder)
    emulator.point_to("art", dict(list(PHOTOS.items())[1:]))
    assert only(keep(emulator, folder), "withdrawn").name == "photo 0.png"
    assert kept(folder) == PHOTOS
    assert actions(emulator, folder) == {"unchanged": 3}


def test_attachments_and_files_of_records_share_a_folder_and_withdraw_nothing_of_each_other(
    emulator: Emulator, folder: Path
) -> None:
    emulator.attach("art", "plan", b"a plan", "photo 1.png")
    keep(emulator, folder)
    portal = Portal(emulator.url)
    documents = portal.attachments("art")
    (document,) = keep_files(portal, documents, folder, kinds=DOCUMENTS)
    assert (document.action, document.name) == ("fetched", "photo 1-2.png")
    assert actions(emulator, folder) == {"unchanged": 4}
    assert set(kept(folder)) == {*PHOTOS, "photo 1-2.png"}


LIES = {
    "not found": Fault.status(404),
    "a login page": Fault.html(),
    "a login page called a picture": Fault.html(as_data=True),
    "cut off": Fault.cut(20),
}


@pytest.mark.parametrize("lie", LIES)
def test_one_that_is_not_as_it_should_be_fails_alone_and_is_not_kept(
    emulator: Emulator, folder: Path, lie: str
) -> None:
    name = str(recorded("photo 1.png", b"", "image/png")["id"])
    emulator.fail(f"files/{name}", LIES[lie], None)
    failed = only(keep(emulator, folder), "failed")
    assert failed.key == f"file/{name}"
    assert failed.reason
    visible = {name for name in kept(folder) if not name.startswith(".")}
    assert visible == {*PHOTOS} - {"photo 1.png"}
    emulator.faults.clear()
    assert actions(emulator, folder) == {"unchanged": 3, "fetched": 1}
    assert kept(folder) == PHOTOS


def test_a_length_that_is_too_long_keeps_no_file_from_being_whole(
    emulator: Emulator, folder: Path
) -> None:
    emulator.fail("/files/", Fault.content_length(9), None)
    assert actions(emulator, folder) == {"fetched": 4}
    assert kept(folder) == PHOTOS


def test_names_of_any_kind_stay_in_the_folder_and_of_their_own(
    emulator: Emulator, folder: Path
) -> None:
    names = ["../../up.png", "/etc/passwd", "a\\b.png", "files.json", "..", "x" * 300 + ".png"]
    same = "long " * 50
    contents = {name: picture(name) for name in [*names, f"{same}1.png", f"{same}2.png"]}
    emulator.point_to("art", contents)
    assert actions(emulator, folder) == {"fetched": len(contents)}
    assert sorted(kept(folder).values()) == sorted(contents.values())
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]
    assert actions(emulator, folder) == {"unchanged": len(contents)}


def test_hundreds_of_one_name_have_names_of_their_own(emulator: Emulator, folder: Path) -> None:
    bodies = {f"{number:03}": picture(str(number)) for number in range(300)}
    values = [{"photo": {"id": key, "filename": "image.png"}} for key in bodies]
    emulator.publish("art", TYPED, values)
    emulator.attach_all("art", bodies, mimetype="image/png", kind="files")
    assert actions(emulator, folder) == {"fetched": 300}
    assert kept(folder)["image-300.png"] == bodies["299"]
    assert sorted(kept(folder).values()) == sorted(bodies.values())


def test_names_do_not_depend_on_the_order_in_which_a_portal_gives_its_records(
    emulator: Emulator, folder: Path
) -> None:
    bodies = {f"{number}": picture(str(number)) for number in range(9)}
    values = [{"photo": {"id": key, "filename": "image.png"}} for key in bodies]
    for order in (values, values[::-1]):
        emulator.publish("art", TYPED, order)
        emulator.attach_all("art", bodies, mimetype="image/png", kind="files")
        assert actions(emulator, folder) == {"fetched": 9}
        assert kept(folder)["image-3.png"] == bodies["2"]
        # As if a run had been killed before it could write anything down.
        (folder / "files.json").unlink()
    assert len(kept(folder)) == 9


def test_a_file_without_a_name_is_called_by_its_identifier_and_type(
    emulator: Emulator, folder: Path
) -> None:
    emulator.publish("art", TYPED, [{"photo": {"id": "abc"}}])
    emulator.attach_all("art", {"abc": PHOTOS["photo 0.png"]}, mimetype="image/png", kind="files")
    assert only(keep(emulator, folder), "fetched").name == "abc.png"
    assert actions(emulator, folder) == {"unchanged": 1}


def test_types_and_sizes_are_bounded_for_them_too(emulator: Emulator, folder: Path) -> None:
    emulator.requests.clear()
    outcomes = keep(emulator, folder, FileLimits(media_type="application/*"))
    assert {outcome.action for outcome in outcomes} == {"left out"}
    assert not emulator.requests
    outcomes = keep(emulator, folder, FileLimits(largest=10))
    assert {outcome.action for outcome in outcomes} == {"failed"}


def test_another_host_is_asked_without_credentials_and_no_other_way_at_all(tmp_path: Path) -> None:
    with (
        Emulator(sample=False) as emulator,
        portal_of(lambda path, _: (200, b"there")) as elsewhere,
    ):
        emulator.add_user("ann", "pw")
        emulator.add_key("the-key", "ann")
        places = [f"{elsewhere.url}/far.txt", "file:///etc/passwd", "ftp://host/x", "http://[x"]
        values = [{"photo": {"url": place, "id": f"{n}"}} for n, place in enumerate(places)]
        emulator.publish("art", TYPED, [*values, {"photo": {"id": "../x"}}])
        portal = Portal(emulator.url, ApiKey("the-key"), pause=0.01)
        outcomes = list(
            keep_files(portal, portal.record_files("art"), tmp_path / "kept", kinds=OF_RECORDS)
        )
    actions = {outcome.key: outcome.action for outcome in outcomes}
    assert actions == {
        "file/0": "fetched",
        # What names no web address is asked for below the dataset, where it is not.
        "file/1": "failed",
        "file/2": "failed",
        "file/3": "failed",
        "file/../x": "failed",
    }
    assert elsewhere.shown == [None]
    assert kept(tmp_path / "kept") == {"far.txt": b"there"}


@pytest.mark.parametrize("in_query", [False, True])
def test_no_key_is_written_to_the_folder_or_said(tmp_path: Path, in_query: bool) -> None:
    with Emulator(sample=False) as emulator:
        emulator.add_user("ann", "pw", ["art"])
        emulator.add_key("the-key", "ann")
        emulator.point_to("art", PHOTOS)
        emulator.hide("art")
        portal = Portal(emulator.url, ApiKey("the-key", in_query=in_query), pause=0.01)
        emulator.fail("/files/", Fault.status(404), 1)
        found = portal.record_files("art")
        outcomes = list(keep_files(portal, found, tmp_path / "kept", kinds=OF_RECORDS))
        assert Counter(o.action for o in outcomes) == {"fetched": 3, "failed": 1}
        assert "the-key" not in repr(outcomes)
        assert not any(b"the-key" in p.read_bytes() for p in (tmp_path / "kept").iterdir())


def test_a_file_that_is_listed_twice_is_fetched_once(emulator: Emulator, folder: Path) -> None:
    portal = Portal(emulator.url)
    found = portal.record_files("art")
    twice = [*found, *(RemoteFile(i.id, "other.png", "", i.url, i.kind) for i in found)]
    emulator.requests.clear()
    outcomes = list(keep_files(portal, iter(twice), folder, kinds=OF_RECORDS))
    assert len(outcomes) == len(emulator.requests) == 4
    assert kept(folder) == PHOTOS


def test_what_is_left_of_files_that_are_listed_no_more_is_removed(
    emulator: Emulator, folder: Path
) -> None:
    emulator.fail("/files/", Fault.cut(20), None)
    assert actions(emulator, folder) == {"failed": 4}
    assert len(list(folder.glob(".file~*.part"))) == 4
    emulator.faults.clear()
    emulator.point_to("art", {"new.png": picture("new")})
    assert actions(emulator, folder) == {"fetched": 1}
    assert set(kept(folder)) == {"new.png"}


def test_a_spent_quota_is_said_with_the_time_of_its_end(emulator: Emulator, folder: Path) -> None:
    keep(emulator, folder)
    emulator.fail("/files/", Fault.quota("2099-01-01T00:00:00Z"), None)
    outcomes = keep(emulator, folder)
    assert {outcome.action for outcome in outcomes} == {"deferred"}
    assert {outcome.until.year for outcome in outcomes if outcome.until} == {2099}
    assert kept(folder) == PHOTOS


def test_the_list_says_of_each_file_what_it_is(emulator: Emulator, folder: Path) -> None:
    keep(emulator, folder)
    entry = json.loads((folder / "files.json").read_text())[0]
    assert entry["media_type"] == "image/png"
    assert entry["key"].startswith("file/")
    assert entry["title"] in PHOTOS
