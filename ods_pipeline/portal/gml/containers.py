"""The elements around features: collections, their members and counts; and which type is read.

Nothing here reads features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ods_pipeline.errors import ConfigurationError, GmlRefused, Unproven
from ods_pipeline.portal.gml.geometry.markup import GML, Context, local
from ods_pipeline.portal.gml.names import NameEscaper
from ods_pipeline.redaction import excerpt

MEMBERS = frozenset({"featureMember", "featureMembers", "member", "members"})
#: More types than any layer has; they are not all kept.
_MOST_TYPES = 100
#: Elements that describe a collection.
DESCRIPTIVE = frozenset(
    {"metaDataProperty", "name", "description", "descriptionReference", "identifier", "location"}
)
_VERSIONS = {"http://www.opengis.net/wfs": "1.1.0", "http://www.opengis.net/wfs/2.0": "2.0.0"}
_IDS = (f"{GML} id", f"{GML}/3.2 id", f"{GML}/3.3 id", "fid")
_SCHEMAS = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"
# Namespaces of replies other than features.
_COUNTS = frozenset({"numberMatched", "numberReturned", "numberOfFeatures"})
_PROTOCOL = ("http://www.opengis.net/", "http://www.w3.org/", "http://schemas.xmlsoap.org/")


@dataclass(frozen=True)
class Declared:
    """What a collection's start tag declares.

    Attributes:
        matched: Number of features that match: `numberMatched`, or 1.1.0's `numberOfFeatures`;
            None if absent or `unknown`.
        returned: Number of features in this document, `numberReturned`; None if absent.
        next: Address of the next page; empty without.
        version: `1.1.0` or `2.0.0` by the namespace; empty if it is neither.
    """

    matched: int | None = None
    returned: int | None = None
    next: str = ""
    version: str = ""


@dataclass
class Container:
    """An element around features: a collection, or a member of one, which declares nothing."""

    collection: bool
    declared: Declared
    context: Context
    features_before: int


def is_collection(name: str) -> bool:
    """Whether an element is a feature collection: of WFS, GML or an application."""
    return local(name) == "FeatureCollection"


def is_named_collection(name: str) -> bool:
    """Whether an element is named like a collection, in any namespace."""
    return local(name).endswith("Collection")


def is_empty_collection(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether a root without members is a collection, by its name; counts tell what it collects."""
    counted = is_named_collection(name) and not _COUNTS.isdisjoint(attributes)
    return local(name).endswith("FeatureCollection") or counted


def declared(name: str, attributes: Mapping[str, str]) -> Declared:
    """What a collection's start tag declares."""
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
        raise GmlRefused(f"the document counts its features as {excerpt(text, 40)!r}")
    return int(text)


def verify(declared: Declared, features: int, *, inner: bool = False) -> None:
    """Check a collection's counts against its features.

    If more features match than are returned, the document is one page of several, and the caller
    decides whether that is enough. A collection within another must be whole; 1.1.0 has no pages.

    Raises:
        Unproven: They are fewer or more than it says.
    """
    promised = declared.returned
    if promised is None and (declared.version != "2.0.0" or (declared.matched or 0) < features):
        promised = declared.matched
    if promised is not None and promised != features:
        raise Unproven(
            f"the document says that it holds {promised} features and holds {features}: "
            "it is not whole"
        )
    if inner and not declared.next and (declared.matched or 0) > features:
        raise Unproven(
            f"a collection in the document says that {declared.matched} features match, and holds "
            f"{features}: it is not whole"
        )


def by_mapserver(attributes: Mapping[str, str]) -> bool:
    """Whether MapServer wrote this root element for WFS 1.1.0; its order of axes is special."""
    where = attributes.get(_SCHEMAS, "")
    return "http://mapserver.gis.umn.edu/mapserver" in where and "VERSION=1.1.0" in where


def require_gml(name: str) -> None:
    """Refuse a root element that is a web page's."""
    if local(name).lower() == "html":
        raise GmlRefused("this is an HTML page, not GML: perhaps a login page")


def require_feature(name: str, attributes: Mapping[str, str]) -> None:
    """Refuse a root element that is not a feature: of a protocol, without an id, or with counts."""
    local_name = local(name)
    counted = not _COUNTS.isdisjoint(attributes)
    if name.startswith(_PROTOCOL) or identity(attributes) is None or counted:
        raise GmlRefused(f"this is not a feature collection: its root element is {local_name}")


def identity(attributes: Mapping[str, str]) -> str | None:
    """The id of a feature; None without."""
    return next((attributes[key] for key in _IDS if key in attributes), None)


class FeatureTypeFilter:
    """Selects the features of one type: the requested one, or the only one.

    Attributes:
        selected: Full name of the type's element, once a feature of it was met.
    """

    def __init__(self, requested: str, escaper: NameEscaper) -> None:
        """Select a type by its name, with or without a prefix; empty selects the only one."""
        if not isinstance(requested, str):
            raise ConfigurationError(f"feature_type is a name, or empty, not {requested!r}")
        self.selected = ""
        self._requested = requested.rpartition(":")[2]
        self._escaper = escaper
        self._others: set[str] = set()

    def accepts(self, name: str) -> bool:
        """Whether features of this name are read: of those that are not, the name is kept."""
        if name == self.selected:
            return True
        local_name = self._escaper.original(local(name))
        wanted = local_name == self._requested if self._requested else not self.selected
        if not wanted:
            self._others.add(local_name)
            if len(self._others) > _MOST_TYPES:
                self.require_match()
            return False
        self.selected = name
        return True

    def require_match(self) -> None:
        """Refuse a document of several types of which none was requested, or none of that name.

        The types are all listed, so that one can be chosen: the document was read to its end.

        Raises:
            GmlRefused: There are other types alone, or others although none was requested.
        """
        types = ", ".join(map(repr, sorted(self._others)[:_MOST_TYPES]))
        if self._others and not self._requested:
            first = self._escaper.original(local(self.selected))
            raise GmlRefused(
                f"the document holds features of more than one type, {first!r}, {types}: "
                "name one with feature_type="
            )
        if self._others and not self.selected:
            raise GmlRefused(f"the document holds no {self._requested!r}, but {types}")
