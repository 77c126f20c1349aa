"""A file on a portal beside its exports: what it is called there, what it is, and where.

Where files are listed, and how they come, does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["attachment", "alternative_export", "file"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A document beside a dataset's records, or a file that one of them points to.

    Attributes:
        id: Its identifier on the portal; its address where it has none.
        title: Its title, as a rule the name of the file; empty if the portal has none.
        mime_type: Its media type by the portal; empty if it does not say.
        url: Where it is; empty where the portal names no place.
        kind: `attachment`, `alternative_export` for one that the publisher calls an export, or
            `file` for one that a record points to.
        description: What the publisher says of it; empty as a rule.
    """

    id: str
    title: str
    mime_type: str
    url: str
    kind: Kind = "attachment"
    description: str = ""

    @property
    def key(self) -> str:
        """What it is among all files of its dataset."""
        return f"{self.kind}/{self.id}"
