"""What the UI shows of a folder of kept files: figures, what changed, a table, small pictures.

Names and reasons are a portal's texts: they are shown as they are, and link or load nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ods_pipeline.dagster.markdown import bullets, literal
from ods_pipeline.lake.kept_files import KeptFile
from ods_pipeline.markup import plain
from ods_pipeline.sync.kept_folders import KeptFolder

_ROWS, _CHARACTERS = 20, 60
# Of a picture some 3 KB are stored with every event.
_PICTURES, _TRIED = 6, 12
_UNTOLD = frozenset({"unchanged", "same content", "left out"})


@dataclass(frozen=True)
class Kept:
    """A folder that was brought up to date, and the dataset's page on the portal, if any."""

    folder: KeptFolder
    page: str = ""

    @property
    def version(self) -> str:
        """The data version: the identity of the files."""
        return self.folder.version

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        folder = self.folder
        counted = Counter(item.action for item in folder.outcomes)
        changed = {
            item.name or item.key: f"{item.action}, {item.size:,} bytes; {item.reason}".rstrip("; ")
            for item in folder.outcomes
            if item.action not in _UNTOLD
        }
        files = _new_first(folder)
        shown = "\n\n".join(_pictures(folder, files))
        page = {"portal_page": dg.MetadataValue.url(self.page)} if self.page else {}
        there = folder.folder.is_dir()
        return {
            "files": len(files),
            "bytes": folder.size,
            "fetched": counted["fetched"],
            "unchanged": counted["unchanged"] + counted["same content"],
            "withdrawn": counted["withdrawn"],
            "left_out": counted["left out"],
            "changed": bullets(changed),
            "preview": dg.MetadataValue.md("\n".join(_table(files)) if files else "*no files*"),
            **({"thumbnails": dg.MetadataValue.md(shown)} if shown else {}),
            "requests": folder.requests,
            "seconds": round(folder.seconds, 3),
            **page,
            **({"dagster/uri": folder.folder.resolve().as_uri()} if there else {}),
        }


def _new_first(folder: KeptFolder) -> list[KeptFile]:
    fetched = {item.key for item in folder.outcomes if item.action == "fetched"}
    return sorted(folder.files, key=lambda item: (item.key not in fetched, item.name))


def _table(files: list[KeptFile]) -> Iterator[str]:
    yield "| file | title | type | bytes | fetched |"
    yield "| --- | --- | --- | ---: | --- |"
    for item in files[:_ROWS]:
        texts = (item.name, item.title, item.media_type)
        cells = [literal(plain(text, _CHARACTERS)) for text in texts]
        yield f"| {' | '.join(cells)} | {item.size:,} | {literal(item.fetched_at)} |"
    if len(files) > _ROWS:
        yield f"| and {len(files) - _ROWS:,} more | | | | |"


def _pictures(folder: KeptFolder, files: list[KeptFile]) -> Iterator[str]:
    from ods_pipeline.lake.map_image import NOT_DRAWABLE, drawable
    from ods_pipeline.lake.thumbnails import data_uri

    images = [item for item in files if item.media_type.startswith("image/")]
    if images and not drawable():
        yield literal(NOT_DRAWABLE)
        return
    shown = 0
    for item in images[:_TRIED]:
        picture = data_uri(folder.folder / item.name) if shown < _PICTURES else ""
        if picture:
            shown += 1
            yield f"![picture]({picture}) {literal(plain(item.name, _CHARACTERS))}"
