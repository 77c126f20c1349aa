"""A folder of attachments follows the portal: only changed ones again, whole, inside the folder."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline import ApiKey
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.quirks import FileQuirks, Quirks
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.kept_files import opened, safe_name
from ods_pipeline.portal.files.remote_file import RemoteFile
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_keeping import FileLimits, FileOutcome, keep_files
from tests.desk import FIELDS, rows
from tests.portal.answers import document, portal_of

LARGE = random.Random(7).randbytes(900_000)
OURS = {"files.json", ".files.lock"}


class Keeper:
    """A portal with attachments, and the folder of somebody who keeps them."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder = emulator, folder

    def keep(self, limits: FileLimits = FileLimits()) -> dict[str, FileOutcome]:  # noqa: B008
        self.emulator.requests.clear()
        portal = Portal(self.emulator.url, pause=0.01)
        found = portal.attachments("plans")
        return {o.key: o for o in keep_files(portal, found, self.folder, limits)}

    def actions(self) -> Counter[str]:
        return Counter(outcome.action for outcome in self.keep().values())

    @property
    def files(self) -> dict[str, bytes]:
        found = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        return {name: content for name, content in found.items() if name not in OURS}

    @property
    def listed(self) -> dict[str, dict[str, object]]:
        entries = json.loads((self.folder / "files.json").read_text())
        return {entry["key"]: entry for entry in entries}


def keeper_of(folder: Path, **quirks: object) -> Iterator[Keeper]:
    served = FileQuirks(**quirks)  # type: ignore[arg-type]
    with Emulator(sample=False, quirks=Quirks(served_files=served), quota=10**6) as emulator:
        emulator.publish("plans", FIELDS, rows(1))
        emulator.attach("plans", "plan_pdf", b"%PDF-1.7 a plan", "Plan 2024.pdf", "application/pdf")
        emulator.attach("plans", "photo", LARGE, "photo.jpg", "image/jpeg")
        emulator.attach("plans", "all", b"a;b\n", "all.csv", "text/csv", "alternative_exports")
        yield Keeper(emulator, folder / "kept")


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    yield from keeper_of(tmp_path)


def test_all_files_come_once_and_are_listed_with_what_they_are(keeper: Keeper) -> None:
    assert keeper.actions() == {"fetched": 3}
    assert keeper.files == {
        "Plan 2024.pdf": b"%PDF-1.7 a plan",
        "photo.jpg": LARGE,
        "all.csv": b"a;b\n",
    }
    photo = keeper.listed["attachment/photo"]
    assert (photo["name"], photo["media_type"], photo["size"]) == (
        "photo.jpg",
        "image/jpeg",
        len(LARGE),
    )
    assert photo["sha256"] == hashlib.sha256(LARGE).hexdigest()
    before = (keeper.folder / "files.json").read_bytes()
    assert keeper.actions() == {"unchanged": 3}
    assert (keeper.folder / "files.json").read_bytes() == before


@pytest.mark.parametrize("validators", ["etag date", "etag", "date", ""])
def test_only_what_changed_is_fetched_again(tmp_path: Path, validators: str) -> None:
    for keeper in keeper_of(tmp_path, validators=validators):
        keeper.keep()
        again = "unchanged" if validators else "same content"
        assert keeper.actions() == {again: 3}
        if validators == "date":  # It is told to the second.
            keeper.emulator.state.clock.tick("2099-01-01T00:00:00+00:00")
        keeper.emulator.attach("plans", "plan_pdf", b"%PDF-1.7 another plan", "Plan 2024.pdf")
        assert keeper.actions() == {again: 2, "fetched": 1}
        assert keeper.files["Plan 2024.pdf"] == b"%PDF-1.7 another plan"


def test_what_somebody_damaged_or_deleted_comes_again(keeper: Keeper) -> None:
    keeper.keep()
    (keeper.folder / "photo.jpg").write_bytes(LARGE[:-1] + b"?")
    (keeper.folder / "all.csv").unlink()
    assert keeper.actions() == {"fetched": 2, "unchanged": 1}
    assert keeper.files["photo.jpg"] == LARGE


def test_what_the_portal_withdraws_stays_and_is_said_once(keeper: Keeper) -> None:
    keeper.keep()
    keeper.emulator.detach("plans", "photo")
    outcome = keeper.keep()["attachment/photo"]
    assert outcome.action == "withdrawn"
    assert keeper.files["photo.jpg"] == LARGE
    assert keeper.listed["attachment/photo"]["withdrawn"]
    assert keeper.actions() == {"unchanged": 2}
    keeper.emulator.attach("plans", "photo", LARGE, "photo.jpg", "image/jpeg")
    assert keeper.actions() == {"unchanged": 3}
    assert not keeper.listed["attachment/photo"]["withdrawn"]


# Of a third of it three attempts would make the whole.
LIES = [
    Fault.cut(200_000),
    Fault.reset(200_000),
    Fault.status(503),
    Fault.html(),
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.kind)
def test_a_file_that_never_comes_whole_is_a_failure_and_nothing_is_kept_of_it(
    keeper: Keeper, lie: Fault
) -> None:
    keeper.keep()
    keeper.emulator.attach("plans", "photo", LARGE[::-1], "photo.jpg", "image/jpeg")
    keeper.emulator.fail("attachments/photo", lie, None)
    outcome = keeper.keep()["attachment/photo"]
    assert (outcome.action, outcome.name) == ("failed", "photo.jpg")
    assert keeper.files["photo.jpg"] == LARGE
    keeper.emulator.faults.clear()
    assert keeper.actions() == {"unchanged": 2, "fetched": 1}
    assert keeper.files["photo.jpg"] == LARGE[::-1]


def test_a_download_that_broke_off_goes_on_where_it_stopped(keeper: Keeper) -> None:
    keeper.emulator.fail("attachments/photo", Fault.cut(300_000), 1)
    assert keeper.actions() == {"fetched": 3}
    assert keeper.files["photo.jpg"] == LARGE
    parts = [r.headers.get("range", "") for r in keeper.emulator.requests if "photo" in r.path]
    assert parts[0] == ""
    assert parts[1].startswith("bytes=")
    assert set(keeper.files) == {"Plan 2024.pdf", "photo.jpg", "all.csv"}


def test_a_file_that_changes_while_it_is_gone_on_with_comes_whole(keeper: Keeper) -> None:
    other = b"another one " * 60_000
    keeper.emulator.fail("attachments/photo", Fault.cut(200_000), 3)
    assert keeper.keep()["attachment/photo"].action == "failed"
    keeper.emulator.attach("plans", "photo", other, "photo.jpg", "image/jpeg")
    assert keeper.keep()["attachment/photo"].action == "fetched"
    (asked,) = [r for r in keeper.emulator.requests if r.path.endswith("/photo")]
    assert asked.headers["range"].startswith("bytes=")
    assert keeper.files["photo.jpg"] == other


def test_sizes_and_types_can_be_bounded(keeper: Keeper) -> None:
    outcomes = keeper.keep(FileLimits(largest=1_000))
    assert outcomes["attachment/photo"].action == "failed"
    assert "900,000 bytes, and 1,000 are the most" in outcomes["attachment/photo"].reason
    outcomes = keeper.keep(FileLimits(media_type="image/*"))
    assert Counter(o.action for o in outcomes.values()) == {"fetched": 1, "left out": 2}


def test_a_length_that_nobody_told_is_bounded_as_well(tmp_path: Path) -> None:
    for keeper in keeper_of(tmp_path, lengths=False):
        outcomes = keeper.keep(FileLimits(largest=1_000))
        assert outcomes["attachment/photo"].action == "failed"
        assert keeper.keep()["attachment/photo"].action == "fetched"


HOSTILE = ["../../up.txt", "/etc/passwd", "a/b.txt", "..", ".hidden", "files.json", "CON.txt", ""]


def test_no_name_leads_out_of_the_folder_and_none_overwrites_another(keeper: Keeper) -> None:
    for number, title in enumerate([*HOSTILE, "same.txt", "same.txt", "SAME.TXT", "a\u202eb.txt"]):
        keeper.emulator.attach("plans", f"x{number}", f"content {number}", title)
    keeper.folder.mkdir()
    (keeper.folder / "same.txt").write_text("the user's own")
    outcomes = keeper.keep()
    assert {outcome.action for outcome in outcomes.values()} == {"fetched"}
    names = [outcome.name for outcome in outcomes.values()]
    assert len({name.casefold() for name in names}) == len(outcomes) == 15
    assert [path.name for path in keeper.folder.parent.iterdir()] == ["kept"]
    assert keeper.files["same.txt"] == b"the user's own"
    contents = set(keeper.files.values())
    assert {f"content {number}".encode() for number in range(12)} < contents
    assert set(keeper.actions()) == {"unchanged"}


@given(st.text(max_size=300))
def test_any_title_is_a_name_inside_the_folder(title: str) -> None:
    name = safe_name(title)
    assert name not in {"", ".", ".."}
    assert not set(name) & set('/\\\0:*?"<>|')
    assert len(name.encode()) <= 200
    assert safe_name(name) == name


def test_a_folder_has_one_writer(keeper: Keeper) -> None:
    with opened(keeper.folder), pytest.raises(ConfigurationError, match="another process writes"):
        keeper.keep()


def test_files_of_another_host_are_asked_for_without_credentials(tmp_path: Path) -> None:
    def answer(path: str, _: object) -> tuple[int, bytes]:
        return 200, b"from elsewhere"

    with Emulator(sample=False) as emulator, portal_of(answer) as elsewhere:
        emulator.publish("plans", FIELDS, rows(1))
        emulator.add_user("ann", "pw")
        emulator.add_key("the-key", "ann")
        portal = Portal(emulator.url, ApiKey("the-key"))
        emulator.fail("attachments/moved", Fault.redirect(f"{elsewhere.url}/moved.txt"), None)
        emulator.attach("plans", "moved", b"", "moved.txt")
        found = [
            *portal.attachments("plans"),
            RemoteFile("far", "far.txt", "text/plain", f"{elsewhere.url}/far.txt"),
        ]
        emulator.requests.clear()
        outcomes = list(keep_files(portal, found, tmp_path / "kept"))
        assert {outcome.action for outcome in outcomes} == {"fetched"}
        assert sorted(elsewhere.asked) == ["/far.txt", "/moved.txt"]
        assert (tmp_path / "kept" / "moved.txt").read_bytes() == b"from elsewhere"
        assert [r.headers.get("authorization") for r in emulator.requests] == ["Apikey the-key"]
    assert elsewhere.shown == [None, None]


def test_the_endpoint_and_the_page_tell_of_the_same_attachments(keeper: Keeper) -> None:
    found = Portal(keeper.emulator.url).attachments("plans")
    assert [(item.id, item.kind) for item in found] == [
        ("plan_pdf", "attachment"),
        ("photo", "attachment"),
        ("all", "alternative_export"),
    ]
    assert all(item.url.startswith(keeper.emulator.url) for item in found)


def test_the_recorded_forms_of_attachments_are_read() -> None:
    entry = {
        "href": "https://docs.test/api/v2/catalog/datasets/geonames/attachments/cities1000_zip",
        "metas": {"mime-type": "application/zip", "title": "cities1000.zip"},
    }
    page = {"dataset_id": "geonames", "fields": [], "metas": {}}

    def answer(path: str, _: object) -> tuple[int, bytes]:
        wanted = {"links": [], "attachments": [entry]} if path.endswith("/attachments") else page
        return document(wanted)

    with portal_of(answer) as there:
        (found,) = Portal(there.url).attachments("geonames")
    assert (found.id, found.title, found.mime_type) == (
        "cities1000_zip",
        "cities1000.zip",
        "application/zip",
    )
    assert found.url == entry["href"]


@pytest.mark.slow
def test_six_hundred_files_in_bad_weather_are_all_there_once(tmp_path: Path) -> None:
    weather = random.Random(3)
    lies = [
        Fault.cut(20),
        Fault.reset(10),
        Fault.status(503),
        Fault.html(),
        Fault.content_length(9),
    ]
    for keeper in keeper_of(tmp_path):
        contents = {f"f{number}": f"content {number} ".encode() * 5 for number in range(600)}
        keeper.emulator.attach_all("plans", contents)
        for name in weather.sample(sorted(contents), 100):
            keeper.emulator.fail(f"attachments/{name} ", weather.choice(lies), 5)
        first = keeper.actions()
        assert first["fetched"] + first["failed"] == 603
        assert first["failed"] > 15
        keeper.emulator.faults.clear()
        second = keeper.actions()
        assert second == {"unchanged": first["fetched"], "fetched": first["failed"]}
        files = keeper.files
        assert {name: files[name] for name in contents} == contents
        assert len(files) == 603
