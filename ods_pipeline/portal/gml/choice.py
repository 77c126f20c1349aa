"""Which of a document's feature types is read; a table has one."""

from __future__ import annotations

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml.markup import local
from ods_pipeline.portal.gml.names import Mender


class Choice:
    """The feature type that is read: the one asked for, else the only one.

    Attributes:
        taken: Its element's full name, once a feature of it was met.
    """

    def __init__(self, asked: str, mender: Mender) -> None:
        """Choose.

        Args:
            asked: Name of the type, with or without a prefix; empty for the only one.
            mender: Who knows what names were called in the document.
        """
        self.taken = ""
        self._asked = asked.rpartition(":")[2]
        self._mender = mender
        self._others: set[str] = set()

    def wants(self, name: str) -> bool:
        """Whether features of this name are read.

        Raises:
            GmlRefused: They are of a second type, and none was asked for.
        """
        if name == self.taken:
            return True
        shown = self._mender.original(local(name))
        if self._asked and shown != self._asked:
            self._others.add(shown)
            return False
        if self.taken:
            first = self._mender.original(local(self.taken))
            raise GmlRefused(
                f"the document holds features of more than one type, {first!r} and {shown!r}: "
                "name one with feature_type="
            )
        self.taken = name
        return True

    def check(self) -> None:
        """With the document read, see that the type asked for was in it.

        Raises:
            GmlRefused: There are features of other types only.
        """
        if self._others and not self.taken:
            types = ", ".join(sorted(self._others))
            raise GmlRefused(f"the document holds no {self._asked!r}, but {types}")
