"""Reads capabilities documents of 1.1.0 and 2.0.0: feature types, their extents, and limits.

Addresses in the document are ignored, because requests and their credentials go to the portal's own
address only. Nothing here sends requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ods_pipeline.portal.wfs.documents import Unreadable, all_texts, text_of, tree_of
from ods_pipeline.portal.wfs.operations import Bounds

_LIMITS = frozenset({"DefaultMaxFeatures", "CountDefault"})


@dataclass(frozen=True)
class FeatureType:
    """One layer.

    Attributes:
        name: Its name with prefix, such as `ods:public-art`.
        crs: Its default reference system.
        other_crs: Other reference systems that it can be requested in.
        bounds: West, south, east and north in degrees; None if not declared.
    """

    name: str
    title: str = ""
    abstract: str = ""
    keywords: tuple[str, ...] = ()
    crs: str = ""
    other_crs: tuple[str, ...] = ()
    bounds: Bounds | None = None


@dataclass(frozen=True)
class Capabilities:
    """A capabilities document.

    Attributes:
        provider: Name of the organization that offers the service; empty if that section was not
            sent, like all others.
        versions: Versions that the service says it has.
        operations: Names of the operations; empty if that section was not sent.
        feature_types: The layers; empty if that section was not sent.
        most: Maximum number of features in an answer, if the request has none; None if not
            declared.
    """

    version: str
    title: str = ""
    provider: str = ""
    versions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    feature_types: tuple[FeatureType, ...] = ()
    most: int | None = None

    def feature_type(self, name: str) -> FeatureType | None:
        """The layer with this name; the prefix may differ."""
        bare = name.rpartition(":")[2]
        exact = [item for item in self.feature_types if item.name == name]
        alike = [item for item in self.feature_types if item.name.rpartition(":")[2] == bare]
        return next(iter(exact or alike), None)


def capabilities_in(body: bytes) -> Capabilities:
    """Read a capabilities document.

    Raises:
        Unreadable: It is not one.
    """
    root = tree_of(body)
    if root.tag != "WFS_Capabilities":
        raise Unreadable(f"its root element is {root.tag}")
    service = root.find("ServiceIdentification")
    provider = root.find("ServiceProvider")
    layers = root.find("FeatureTypeList")
    return Capabilities(
        version=root.get("version", ""),
        title="" if service is None else text_of(service, "Title"),
        provider="" if provider is None else text_of(provider, "ProviderName"),
        versions=() if service is None else tuple(all_texts(service, "ServiceTypeVersion")),
        operations=tuple(item.get("name", "") for item in root.iterfind(".//Operation[@name]")),
        feature_types=tuple(
            _feature_type(item)
            for item in (() if layers is None else layers.iterfind("FeatureType"))
        ),
        most=_most(root),
    )


def _feature_type(item: Element) -> FeatureType:
    defaults = [text_of(item, name) for name in ("DefaultSRS", "DefaultCRS", "SRS")]
    return FeatureType(
        name=text_of(item, "Name"),
        title=text_of(item, "Title"),
        abstract=text_of(item, "Abstract"),
        keywords=tuple(all_texts(item, "Keyword")),
        crs=next(filter(None, defaults), ""),
        other_crs=(*all_texts(item, "OtherSRS"), *all_texts(item, "OtherCRS")),
        bounds=_bounds(item),
    )


def _bounds(item: Element) -> Bounds | None:
    """The extent; its corners have the longitude first in every version."""
    box = item.find("WGS84BoundingBox")
    if box is None:
        return None
    try:
        west, south = (float(part) for part in text_of(box, "LowerCorner").split()[:2])
        east, north = (float(part) for part in text_of(box, "UpperCorner").split()[:2])
    except ValueError:
        return None
    return (west, south, east, north) if west <= east and south <= north else None


def _most(root: Element) -> int | None:
    for constraint in root.iter("Constraint"):
        if constraint.get("name") in _LIMITS:
            for text in (*all_texts(constraint, "DefaultValue"), *all_texts(constraint, "Value")):
                if text.isascii() and text.isdigit():
                    return int(text)
    return None
