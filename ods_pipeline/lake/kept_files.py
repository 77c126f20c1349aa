"""A folder of files that are not partitions, and the list of what is in it.

The list is a file for people and programs, `files.json`. What happens in a run is added line by
line to `files.jsonl`, so that a killed run loses the file that it was at, and no other. Asking for
files does not belong here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.files import make_durably, replace_durably
from ods_pipeline.lake.lake import disk_errors
from ods_pipeline.state.advisory import DatabaseLocks
from ods_pipeline.state.database import Database
from ods_pipeline.state.locks import FileLocks, Locks, Stopped, require_held

LIST, JOURNAL, LOCK = "files.json", "files.jsonl", ".files.lock"
_LONGEST = 200
# Separators of any system, what Windows refuses, and what hides or reverses text.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]+')
_PART = re.compile(r"(?P<part>\.(?P<kind>\w+)~[0-9a-f]{16}\.part)(\.json)?$")
_BYTES = ("utf-8", "surrogatepass")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


@dataclass(frozen=True)
class KeptFile:
    """A file of the folder.

    Attributes:
        key: What it is on the portal, such as `attachment/plan_pdf`.
        name: Its name in the folder.
        title: Its title on the portal.
        media_type: Its media type.
        url: Where it came from.
        size: Its bytes.
        sha256: Their digest.
        etag: Its version, as the server told it; empty where it did not.
        modified: The same by date.
        fetched_at: When it came, ISO 8601.
        withdrawn: Since when the portal lists it no more, ISO 8601; empty as long as it does.
    """

    key: str
    name: str
    title: str = ""
    media_type: str = ""
    url: str = ""
    size: int = 0
    sha256: str = ""
    etag: str = ""
    modified: str = ""
    fetched_at: str = ""
    withdrawn: str = ""


class KeptFiles:
    """A folder's files, by what they are on the portal; used inside `opened`."""

    def __init__(self, folder: Path) -> None:
        """Read what is listed."""
        self.folder = folder
        self._lock = threading.Lock()
        self._entries = {entry.key: entry for entry in _read(folder)}
        self._names = {entry.name.casefold(): entry.key for entry in self._entries.values()}
        self._numbers: dict[str, int] = {}
        self._torn = _is_torn(folder / JOURNAL)

    def __iter__(self) -> Iterator[KeptFile]:
        """All entries."""
        return iter(tuple(self._entries.values()))

    def get(self, key: str) -> KeptFile | None:
        """An entry, if its file is there as it is listed."""
        entry = self._entries.get(key)
        return entry if entry and is_whole(self.folder / entry.name, entry) else None

    def path(self, key: str, wanted: str) -> Path:
        """Where a file is or will be, under a name that no other has.

        Args:
            key: What it is on the portal.
            wanted: What it would be called; anything that leads out of the folder is left out.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry:
                return self.folder / entry.name
            return self.folder / self._named(key, safe_name(wanted), lambda name: False)

    def free(self, key: str, path: Path, sha256: str) -> Path:
        """The same path, or another where a file of the user's own has that name.

        Args:
            key: What it is on the portal.
            path: As `path` gave it.
            sha256: Digest of what is to be there: a run that was killed may have put it there.
        """
        if key in self._entries or not path.exists() or digest(path) == sha256:
            return path
        with self._lock:
            there = lambda name: (self.folder / name).exists()  # noqa: E731
            return self.folder / self._named(key, path.name, there)

    def _named(self, key: str, wanted: str, is_there: Callable[[str], bool]) -> str:
        """The first name like the wanted one that no other file has."""
        stem, suffix = os.path.splitext(wanted)
        # Thousands of photographs may all be `image.jpg`.
        first = self._numbers.get(wanted.casefold(), 1)
        names = ((n, wanted if n == 1 else f"{stem}-{n}{suffix}") for n in count(first))
        number, name = next(
            (n, name) for n, name in names if not (self._is_taken(key, name) or is_there(name))
        )
        self._numbers[wanted.casefold()] = number
        self._names[name.casefold()] = key
        return name

    def _is_taken(self, key: str, name: str) -> bool:
        owner = self._names.get(name.casefold())
        reserved = name.casefold() in {LIST, JOURNAL, LOCK}
        return reserved or (owner is not None and owner != key)

    def add(self, entry: KeptFile) -> None:
        """Note a file that is there now."""
        with self._lock, disk_errors(self.folder / JOURNAL):
            with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
                # A killed run and a full disk leave half a line, which none must go on with.
                lead = "\n" if self._torn else ""
                self._torn = True
                journal.write(f"{lead}{json.dumps(asdict(entry), ensure_ascii=False)}\n")
                journal.flush()
                os.fsync(journal.fileno())
            self._torn = False
            self._entries[entry.key] = entry

    def part(self, key: str) -> Path:
        """Where a file is until it is whole: a name that no other file's part has."""
        name = hashlib.sha256(key.encode(*_BYTES)).hexdigest()[:16]
        return self.folder / f".{key.partition('/')[0]}~{name}.part"

    def finish(self, listed: Collection[str], kinds: Collection[str], now: str) -> list[KeptFile]:
        """Write the list, and mark what the portal lists no more; its files stay.

        Args:
            listed: The keys of what it lists.
            kinds: The kinds of files, with which keys begin, that were asked for.
            now: The time, ISO 8601.

        Returns:
            The entries that were withdrawn just now.

        Raises:
            LakeError: The disk refuses it.
            StateError: The lock on the folder was lost; the list is as it was.
        """
        gone = []
        for key, entry in self._entries.items():
            if key.partition("/")[0] not in kinds:
                continue
            if key not in listed and not entry.withdrawn:
                self._entries[key] = replace(entry, withdrawn=now)
                gone.append(entry)
            elif key in listed and entry.withdrawn:
                self._entries[key] = replace(entry, withdrawn="")
        text = json.dumps([asdict(entry) for entry in self], ensure_ascii=False, indent=1) + "\n"
        target, journal = self.folder / LIST, self.folder / JOURNAL
        with disk_errors(target):
            if not target.exists() or target.read_text("utf-8") != text:
                part = self.folder / f".{LIST}"
                with part.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                require_held()
                replace_durably(part, target)
            journal.unlink(missing_ok=True)
            self._sweep(listed, kinds)
        return gone

    def _sweep(self, listed: Collection[str], kinds: Collection[str]) -> None:
        """Remove the unfinished files of what is listed no more."""
        parts = {self.part(key).name for key in listed}
        for path in self.folder.glob(".*.part*"):
            found = _PART.match(path.name)
            if found and found["kind"] in kinds and found["part"] not in parts:
                path.unlink(missing_ok=True)


@contextmanager
def opened(folder: Path, state: Database | None = None) -> Iterator[KeptFiles]:
    """A folder for files, made if it does not exist, and locked.

    Args:
        folder: The folder.
        state: Where the processes of several hosts lock it; without it in the folder.

    Raises:
        ConfigurationError: Another process writes to it.
        LakeError: It cannot be made or written.
        StateError: The database of the locks cannot be reached.
    """
    locks: Locks = DatabaseLocks(state, "files") if state else FileLocks(folder / LOCK)
    with ExitStack() as stack:
        with disk_errors(folder / LIST):
            make_durably(folder)
            # Portal, kind and dataset: hosts may have mounted what is above in different places.
            name = "/".join(folder.absolute().parts[-3:])
            try:
                stack.enter_context(locks.lock(name, lambda: True))
            except Stopped:
                raise ConfigurationError(
                    f"another process writes files to {folder}: wait until it ends"
                ) from None
        yield KeptFiles(folder)


def kept(folder: Path) -> list[KeptFile]:
    """What is listed of a folder; nothing where there is none.

    Raises:
        LakeError: The list cannot be read.
    """
    return list({entry.key: entry for entry in _read(folder)}.values())


def _read(folder: Path) -> Iterator[KeptFile]:
    known = {field.name for field in fields(KeptFile)}

    def entry(found: Mapping[str, Any]) -> KeptFile:
        return KeptFile(**{name: value for name, value in found.items() if name in known})

    with disk_errors(folder / LIST):
        try:
            yield from map(entry, json.loads((folder / LIST).read_text("utf-8")))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError):
            return  # Damaged: the files are compared by their digests as they come again.
        try:
            lines = (folder / JOURNAL).read_bytes().split(b"\n")
        except FileNotFoundError:
            return
    for line in lines:
        try:
            yield entry(json.loads(line))
        except (ValueError, TypeError):
            continue  # The last line of a run that was killed.


def _is_torn(journal: Path) -> bool:
    """Whether the last line of a journal has no end."""
    with disk_errors(journal):
        try:
            with journal.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.EINVAL:  # There is no byte before the first.
                raise
            return False


def safe_name(wanted: str) -> str:
    """A name for a file that leads to no other folder, on any system."""
    name = unicodedata.normalize("NFC", wanted)
    name = _UNSAFE.sub("_", name).strip(" .").lstrip("~") or "file"
    if _DEVICES.match(name):
        name = f"_{name}"
    stem, suffix = os.path.splitext(name)
    if len(suffix.encode()) > _LONGEST // 4:
        stem, suffix = name, ""
    cut = stem.encode()[: _LONGEST - len(suffix.encode())].decode(errors="ignore")
    return f"{cut}{suffix}"


def digest(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with disk_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, entry: KeptFile) -> bool:
    """Whether a file is there as it is listed."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    return size == entry.size and digest(path) == entry.sha256
