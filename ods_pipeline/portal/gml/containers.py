"""What stands around features: collections, their members and counts, and which type is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ods_pipeline.errors import ConfigurationError, GmlRefused, Unproven
from ods_pipeline.portal.gml.batches import Declared
from ods_pipeline.portal.gml.geometry.markup import GML, Context, local
from ods_pipeline.portal.gml.names import Mender

MEMBERS = frozenset({"featureMember", "featureMembers", "member", "members"})
#: What describes a collection, and is no data of it.
DESCRIPTIVE = frozenset(
    {
        "metaDataProperty",
        "name",
        "description",
        "descriptionReference",
        "identifier",
        "location",
    }
)
_VERSIONS = {"http://www.opengis.net/wfs": "1.1.0", "http://www.opengis.net/wfs/2.0": "2.0.0"}
_IDS = (f"{GML} id", f"{GML}/3.2 id", f"{GML}/3.3 id", "fid")
_SCHEMAS = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"
# What answers that are no features have for a root, beside exception reports.
_PROTOCOL = ("http://www.opengis.net/", "http://www.w3.org/", "http://schemas.xmlsoap.org/")


@dataclass
class Level:
    """An element around features: a collection, or a member of one (which declares nothing)."""

    collection: bool
    declared: Declared
    context: Context
    began: int


def is_collection(name: str) -> bool:
    """Whether an element is a feature collection: WFS's, GML's or an application's.

    Features' own types may have names that end so.
    """
    return local(name) == "FeatureCollection"


def declared(name: str, attributes: Mapping[str, str]) -> Declared:
    """What a collection's start tag says.

    Raises:
        GmlRefused: A count is no number.
    """
    matched = attributes.get("numberMatched", attributes.get("numberOfFeatures", ""))
    return Declared(
        matched=_count(matched),
        returned=_count(attributes.get("numberReturned", "")),
        next=attributes.get("next", ""),
        version=_VERSIONS.get(name.rpartition(" ")[0], ""),
    )


def _count(text: str) -> int | None:
    text = text.strip()
    if not text or text == "unknown":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise GmlRefused(f"the document counts its features as {text[:40]!r}")
    return int(text)


def verify(said: Declared, features: int, *, inner: bool = False) -> None:
    """Hold a collection's counts against its features.

    A server that matched more than it returned gives one page of several, which is the caller's to
    judge, save for a collection within another; 1.1.0 knows no pages.

    Raises:
        Unproven: They are fewer or more than it says.
    """
    promised = said.returned
    if promised is None and (said.version != "2.0.0" or (said.matched or 0) < features):
        promised = said.matched
    if promised is not None and promised != features:
        raise Unproven(
            f"the document says that it holds {promised} features and holds {features}: "
            "it is not whole"
        )

    if inner and not said.next and (said.matched or 0) > features:
        raise Unproven(
            f"a collection in the document says that {said.matched} features match, and holds "
            f"{features}: it is not whole"
        )


def by_mapserver(attributes: Mapping[str, str]) -> bool:
    """Whether a root element is MapServer's for WFS 1.1.0, which has its own idea of axis order."""
    where = attributes.get(_SCHEMAS, "")
    return "http://mapserver.gis.umn.edu/mapserver" in where and "VERSION=1.1.0" in where


def lone(name: str, known: str | None) -> None:
    """Accept a root element as a feature of its own, or say what it is instead.

    Raises:
        GmlRefused: It is no feature.
    """
    shown = local(name)
    if shown.lower() == "html":
        raise GmlRefused("this is an HTML page, not GML: perhaps a login page")
    if name.startswith(_PROTOCOL) or known is None:
        raise GmlRefused(f"this is no feature collection: its root element is {shown}")


def identity(attributes: Mapping[str, str]) -> str | None:
    """The id of a feature; None without."""
    for key in _IDS:
        if key in attributes:
            return attributes[key]
    return None


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

        Raises:
            ConfigurationError: The type is no name.
        """
        if not isinstance(asked, str):
            raise ConfigurationError(f"feature_type is a name, or empty, not {asked!r}")
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
