"""A login in a file: safe from other users, other processes, a full disk and `kill -9`."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import TokenStoreError
from ods_pipeline.portal.auth.files import FileStore
from tests.portal.auth.store_behaviour import EveryStore
from tests.portal.auth.store_places import CLIENT, PORTAL, login, opened
from tests.portal.auth.store_process import started

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens" / "login.json"


@pytest.fixture
def place(path: Path) -> str:
    return str(path)


@pytest.fixture
def store(path: Path) -> FileStore:
    return FileStore(path, PORTAL, CLIENT)


@pytest.fixture
def kept(store: FileStore) -> FileStore:
    """A store with a login."""
    store.save(login())
    return store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(store: FileStore) -> str:
    """What a store says that gives and takes no login."""
    said = set()
    for refused in (store.load, store.forget, lambda: store.save(login(9))):
        with pytest.raises(TokenStoreError) as error:
            refused()
        said.add(str(error.value))
    (sentence,) = said
    assert not re.search("\n|access-|refresh-", sentence)
    return sentence


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not as root, whom no permission stops."""
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


class TestFile(EveryStore):
    """All that every store does."""


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nobody_else_can_read_the_file_its_lock_or_its_folder(
    store: FileStore, path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        store.save(login())
        with store.exclusive(1):
            store.swap(login(), login(pending=1.0))
            modes = {found.name: mode(found) for found in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert mode(path.parent) == 0o700
    assert set(modes) == {"login.json", "login.json.lock", "login.json.spare"}
    assert set(modes.values()) == {0o600}


def test_only_the_login_and_its_lock_are_left(kept: FileStore, path: Path) -> None:
    with kept.exclusive(1):
        kept.swap(login(), login(pending=1.0))
        kept.swap(login(pending=1.0), login(1))
    left = sorted(found.name for found in path.parent.iterdir())
    kept.forget()

    assert left == ["login.json", "login.json.lock"]
    assert [found.name for found in path.parent.iterdir()] == ["login.json.lock"]


def test_what_killed_processes_left_is_cleaned_up_by_the_next_one(
    kept: FileStore, path: Path
) -> None:
    for name in ("login.json.part", "login.json.spare"):
        (path.parent / name).write_text("half a rec")

    with kept.exclusive(1):
        assert kept.swap(login(), login(1))

    assert kept.load() == login(1)
    assert {found.name for found in path.parent.iterdir()} == {"login.json", "login.json.lock"}


def test_asking_leaves_no_trace_where_nobody_has_logged_in(store: FileStore, path: Path) -> None:
    store.load()
    store.forget()

    assert not path.parent.exists()


def test_a_renewal_is_written_into_room_reserved_before_it_began(
    kept: FileStore, path: Path
) -> None:
    spare = path.with_name("login.json.spare")
    with kept.exclusive(1):
        kept.swap(login(), login(pending=1.0))
        reserved = spare.stat()
        kept.swap(login(pending=1.0), login(1))
        written = path.stat()

    assert reserved.st_blocks * 512 >= reserved.st_size >= 65536
    assert written.st_ino == reserved.st_ino
    assert kept.load() == login(1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 8192])
def test_a_disk_without_room_for_the_outcome_is_found_out_before_a_renewal(
    kept: FileStore, path: Path, size: int
) -> None:
    said = started("begin_with_room_for", str(path), size).communicate()[0]
    assert f"the login in {path} cannot be kept: File too large" in said
    assert kept.load() == login()
    assert {found.name for found in path.parent.iterdir()} == {"login.json", "login.json.lock"}


def test_a_file_cut_off_anywhere_is_damaged_and_not_taken_for_no_login(
    kept: FileStore, path: Path
) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(TokenStoreError, match=r"is damaged.*run `ods-pipeline login`") as error:
            kept.load()
        assert "access-" not in str(error.value)
        assert error.value.__cause__ is None


@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*vars(login())]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_else_stands_in_the_file_is_no_login(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("tokens") / "login.json"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(TokenStoreError, match=r"is damaged|is no login of ours"):
        FileStore(path, PORTAL, CLIENT).load()


def test_a_file_that_is_something_else_is_neither_replaced_nor_taken_away(
    store: FileStore, path: Path
) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    for done in (store.load, store.forget, store.ready, lambda: store.save(login())):
        with pytest.raises(TokenStoreError, match="is no login of ours; give another ODS_TOKEN_"):
            done()
    assert path.read_text().startswith("-----BEGIN")


@pytest.mark.parametrize("content", ["", "{", '{"portal": "https://data.example.org"}'])
def test_a_damaged_file_stays_until_somebody_logs_in_or_out(
    kept: FileStore, path: Path, content: str
) -> None:
    path.write_text(content)
    with suppress(TokenStoreError), kept.exclusive(1):
        kept.swap(login(), login(1))
    assert path.read_text() == content

    kept.save(login(2))
    assert kept.load() == login(2)

    path.write_text(content)
    assert kept.forget()
    assert kept.load() is None


@pytest.mark.parametrize(
    "other", [("https://other.example.org", CLIENT), (PORTAL, "another-client")]
)
def test_a_login_of_another_portal_or_application_is_neither_given_nor_replaced(
    kept: FileStore, path: Path, other: tuple[str, str]
) -> None:
    assert refusal(FileStore(path, *other)) == (
        f"{path} belongs to application a-client at https://data.example.org, not to {other[1]} "
        f"at {other[0]}; give another ODS_TOKEN_FILE"
    )
    assert kept.load() == login()


@pytest.mark.parametrize("open_to_others", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_read_or_write_is_refused(
    kept: FileStore, path: Path, open_to_others: int
) -> None:
    path.chmod(open_to_others)

    assert refusal(kept) == f"{path} is open to others; run `chmod 600 {path}`"


def test_a_lock_that_others_can_hold_is_refused(kept: FileStore, path: Path) -> None:
    lock = path.with_name("login.json.lock")
    lock.chmod(0o644)

    with pytest.raises(TokenStoreError, match=f"{lock} is open to others; run `chmod 600 {lock}`"):
        kept.save(login(1))
    assert kept.load() == login()


@pytest.mark.parametrize("name", ["login.json", "login.json.lock"])
def test_a_symbolic_link_is_not_followed(kept: FileStore, path: Path, name: str) -> None:
    link, elsewhere = path.with_name(name), path.parent / "elsewhere"
    link.rename(elsewhere)
    link.symlink_to(elsewhere)
    before = elsewhere.read_bytes()

    with pytest.raises(TokenStoreError, match=f"{link} is a symbolic link"):
        kept.save(login(1))
    assert elsewhere.read_bytes() == before
    assert link.is_symlink()


@pytest.mark.parametrize("open_to_others", [0o720, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(
    kept: FileStore, path: Path, open_to_others: int
) -> None:
    path.parent.chmod(open_to_others)

    told = refusal(kept)
    assert "give another ODS_TOKEN_FILE" in told
    assert (f"run `chmod go-w {path.parent}`" in told) == (open_to_others != 0o1777)


def test_a_folder_in_its_place_is_refused(store: FileStore, path: Path) -> None:
    path.mkdir(parents=True)

    assert refusal(store) == f"{path} is no file to keep a login in; give another ODS_TOKEN_FILE"


def test_a_file_in_place_of_its_folder_is_refused(store: FileStore, path: Path) -> None:
    path.parent.write_text("not a folder")

    assert refusal(store) == (
        f"{path.parent} is no folder to keep a login in; give another ODS_TOKEN_FILE"
    )


def test_a_file_of_another_user_is_refused(kept: FileStore, path: Path) -> None:
    # Only root can give a file away, only others find one of root's.
    if os.geteuid() == 0:
        os.chown(path, NOBODY, -1)
    else:
        kept = FileStore(Path("/etc/passwd"), PORTAL, CLIENT)

    assert "belongs to another user; run as that one" in refusal(kept)


def test_a_folder_without_permission_is_named(kept: FileStore, path: Path) -> None:
    path.parent.chmod(0)
    try:
        with unprivileged(), pytest.raises(TokenStoreError) as error:
            kept.load()
    finally:
        path.parent.chmod(0o700)

    assert str(error.value) == (
        f"the login in {path} cannot be read: Permission denied; "
        "see that you may read and write it and its folder"
    )


def test_a_store_means_the_same_file_after_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore(Path("tokens/login.json"), PORTAL, CLIENT)
    monkeypatch.chdir("/")
    store.save(login())

    assert store.where == str(tmp_path / "tokens" / "login.json")
    assert opened(store.where).load() == login()
