"""A lake in a bucket: its objects as paths, each of which is a whole file or not there.

To open such a path is to read a copy of its present version on this machine's disk. An object is
replaced in one step, and only if it is still the version that its writer knew. What files mean
does not belong here.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ods_pipeline.errors import LakeError
from ods_pipeline.lake import copies
from ods_pipeline.lake.files import unfinished
from ods_pipeline.lake.object_store import answers, library, overtaken, store

# Up to here a file is sent in one request, which the store can tie to a condition; larger ones go
# in parts, in little memory, and the condition is looked at before the parts become one object.
_ONE_REQUEST = 16 << 20
_PART, _PARTS_AT_ONCE = 8 << 20, 2
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Version:
    """One version of an object.

    Attributes:
        tag: What tells it from others: its ETag.
        size: Bytes.
        generation: What Google's store asks for besides, where it must be replaced; else empty.
    """

    tag: str
    size: int
    generation: str = ""

    @property
    def condition(self) -> dict[str, str]:
        """What the store compares before it replaces this version."""
        asked = {"e_tag": self.tag, "version": self.generation}
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True)
class ObjectPath:
    """An object in a bucket, or a folder of objects, in place of a `pathlib.Path`.

    Opening it as a file (`os.fspath`) reads a copy of its present version on the disk.

    Attributes:
        root: Address of the data folder, such as `s3://bucket/prefix`; no secrets are in it.
        key: The object's name below it; empty for the folder itself.
        listed: Its version when it was listed, where it was: it may be another one by now.
    """

    root: str
    key: str = ""
    listed: Version | None = field(default=None, compare=False, repr=False)

    def __truediv__(self, name: str) -> ObjectPath:
        """An object below this one."""
        return ObjectPath(self.root, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        """The address."""
        return f"{self.root}/{self.key}" if self.key else self.root

    def __fspath__(self) -> str:
        """Path of a copy of the present version.

        Raises:
            FileNotFoundError: There is no such object.
            LakeError: The bucket does not give it.
        """
        return str(self.local())

    @property
    def name(self) -> str:
        """The last part of its key."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.key).stem

    @property
    def parts(self) -> tuple[str, ...]:
        """The address and the parts of the key."""
        return (self.root, *PurePosixPath(self.key).parts)

    @property
    def parents(self) -> tuple[ObjectPath, ...]:
        """The folders above, the nearest first."""
        above = PurePosixPath(self.key).parents
        return tuple(ObjectPath(self.root, "" if str(p) == "." else str(p)) for p in above)

    @property
    def parent(self) -> ObjectPath:
        """The folder that it is in."""
        return self.parents[0]

    def with_name(self, name: str) -> ObjectPath:
        """Another object of the same folder."""
        return self.parent / name

    def absolute(self) -> ObjectPath:
        """Itself: an address depends on no folder."""
        return self

    def as_uri(self) -> str:
        """The address."""
        return str(self)

    def version(self) -> Version | None:
        """Its present version; None where there is no such object.

        Raises:
            LakeError: The bucket does not say.
        """
        with answers(self, may_miss=True):
            try:
                return self._present()
            except FileNotFoundError:
                return None

    def _present(self) -> Version:
        return _version(library().head(store(self.root), self.key))

    def exists(self) -> bool:
        """Whether there is such an object.

        Raises:
            LakeError: The bucket does not say.
        """
        return self.version() is not None

    def local(self) -> Path:
        """A copy of its present version on this machine's disk.

        Raises:
            FileNotFoundError: There is no such object.
            LakeError: The bucket does not give it, or the copy cannot be written.
        """
        version = self.version()
        if version is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", str(self))
        copy = copies.place(self.root, self.key, version.tag)
        if not copies.used(copy):
            with (
                copies.disk_errors(self.root),
                unfinished(copies.incoming(self.root), self.name) as path,
            ):
                version = self._download(path)
                copy = copies.place(self.root, self.key, version.tag)
                copies.keep(path, copy)
        return copy

    def _download(self, path: Path) -> Version:
        with answers(self, may_miss=True), path.open("wb") as file:
            reply = library().get(store(self.root), self.key)
            version = _version(reply.meta)
            for piece in reply.stream(min_chunk_size=_CHUNK):
                file.write(piece)
            if file.tell() != version.size:
                raise LakeError(
                    f"{self} came with {file.tell():,} of {version.size:,} bytes; try again"
                )
        return version

    def end(self, size: int) -> bytes:
        """Its last bytes, by one request; in Azure's store by two where it was not listed.

        Raises:
            FileNotFoundError: There is no such object.
            LakeError: The bucket does not give them.
        """
        with answers(self, may_miss=True):
            if self.root.startswith("az://"):
                return self._end_from_its_size(size)
            reply = library().get(store(self.root), self.key, options={"range": {"suffix": size}})
            return bytes(reply.bytes())

    def _end_from_its_size(self, size: int) -> bytes:
        """Its last bytes, from a store that counts from the beginning alone."""
        from obstore.exceptions import PreconditionError

        version = self.listed or self._present()
        while True:
            options: dict[str, Any] = {"if_match": version.tag}
            # All of it without a range: an empty object has no first byte to begin at.
            if version.size > size:
                options["range"] = {"offset": version.size - size}
            try:
                return bytes(library().get(store(self.root), self.key, options=options).bytes())
            except PreconditionError:  # Replaced since then, by an object of another size perhaps.
                version = self._present()

    def read_bytes(self) -> bytes:
        """All of a small object."""
        with answers(self, may_miss=True):
            return bytes(library().get(store(self.root), self.key).bytes())

    def write_bytes(self, data: bytes) -> None:
        """Write a small object, whatever was there."""
        with answers(self):
            library().put(store(self.root), self.key, data)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete it.

        Raises:
            LakeError: The bucket refuses.
        """
        with answers(self, may_miss=True):
            try:
                library().delete(store(self.root), self.key)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def files(self) -> Iterator[tuple[str, Version]]:
        """All objects below it, by their names relative to it, with their versions.

        Raises:
            LakeError: The bucket does not list them.
        """
        prefix = f"{self.key}/" if self.key else ""
        with answers(self):
            for page in library().list(store(self.root), prefix or None):
                for entry in page:
                    if entry["path"].startswith(prefix):
                        yield entry["path"].removeprefix(prefix), _version(entry)

    def folders(self) -> list[str]:
        """Names of the folders in it.

        Raises:
            LakeError: The bucket does not list them.
        """
        prefix = f"{self.key}/" if self.key else None
        with answers(self):
            found = library().list_with_delimiter(store(self.root), prefix)
        return sorted(PurePosixPath(path).name for path in found["common_prefixes"])

    def replace_with(self, path: Path, known: Version | None) -> None:
        """Make a finished file the present version, if the present one is still the known one.

        Args:
            path: The file; it becomes the local copy, or is left.
            known: The version when its writer began; None where there was none.

        Raises:
            LakeError: It is another version by now, which stays; or the bucket refuses it.
        """
        with answers(self):
            if path.stat().st_size <= _ONE_REQUEST:
                mode: Any = known.condition if known else "create"
                put = library().put(
                    store(self.root), self.key, path.read_bytes(), mode=mode, use_multipart=False
                )
                tag = put["e_tag"]
            else:
                import asyncio  # Of all commands, few send a large file.

                tag = asyncio.run(self._upload(path, known))
        if tag:
            copies.keep(path, copies.place(self.root, self.key, tag))

    async def _upload(self, path: Path, known: Version | None) -> str | None:
        """Send a large file in parts, which become the object at the end or are dropped."""

        async def pieces() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while piece := file.read(_CHUNK):
                    yield piece
            # The last thing before the parts become one object: parts take no condition.
            try:
                present = _version(await library().head_async(store(self.root), self.key))
            except FileNotFoundError:
                present = None
            if present != known:
                raise overtaken(self)

        sent = await library().put_async(
            store(self.root),
            self.key,
            pieces(),
            chunk_size=_PART,
            max_concurrency=_PARTS_AT_ONCE,
        )
        tag: str | None = sent["e_tag"]
        return tag


def _version(meta: Any) -> Version:
    tag = meta["e_tag"] or f"{meta['last_modified']:%Y%m%d%H%M%S%f}"
    # Azure's store lists ETags without their quotation marks, and compares them with these.
    if meta["e_tag"] and not tag.endswith('"'):
        tag = f'"{tag}"'
    return Version(tag, meta["size"], meta["version"] or "")


#: Where a file of the lake is: on a disk, or in a bucket.
LakePath = Path | ObjectPath


def on_disk(path: LakePath) -> Path:
    """A file of the lake on this machine's disk, where it may be a copy.

    Raises:
        FileNotFoundError: It is in a bucket, and not there.
        LakeError: It is in a bucket that does not give it.
    """
    return path.local() if isinstance(path, ObjectPath) else path
