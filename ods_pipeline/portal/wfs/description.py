"""Reads descriptions of feature types (their properties) and of stored queries.

The types in them are only hints: portals write datetimes that are not valid by XML Schema. Nothing
here types features; a dataset's types come from the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ods_pipeline.portal.wfs.documents import Unreadable, local, text_of, tree_of

_GEOMETRY = re.compile(
    r"(?:Multi)?(?:Geometry|Geometric\w*|Point|LineString|Curve|Polygon|Surface|Solid|Envelope|Box)"
    r"(?:Array|Association)?(?:PropertyType|Type)"
)


@dataclass(frozen=True)
class Property:
    """One property of a feature type.

    Attributes:
        name: Its local name.
        type: Its declared type without prefix, such as `string` or `PointPropertyType`.
        nillable: Whether it may have no value.
        repeated: Whether it may occur several times.
        geometry: Whether it is a geometry.
    """

    name: str
    type: str = ""
    nillable: bool = False
    repeated: bool = False
    geometry: bool = False


@dataclass(frozen=True)
class StoredQuery:
    """A query that is stored on the server.

    Attributes:
        parameters: Names of its parameters; empty if only a list of queries was requested.
        returns: Feature types that it returns.
    """

    id: str
    title: str = ""
    parameters: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()


def feature_types_in(body: bytes) -> Mapping[str, tuple[Property, ...]]:
    """Read an XML Schema: the properties of each feature type, by its local name.

    Raises:
        Unreadable: It is not a schema.
    """
    root = tree_of(body)
    if root.tag != "schema":
        raise Unreadable(f"its root element is {root.tag}")
    types = {item.get("name", ""): item for item in root.iterfind("complexType")}
    result: dict[str, tuple[Property, ...]] = {}
    for item in root.iterfind("element"):
        declared = item.find("complexType")
        if declared is None:
            declared = types.get(local(item.get("type", "")))
        if declared is not None:
            result[item.get("name", "")] = tuple(map(_property, declared.iterfind(".//element")))
    return result


def _property(item: Element) -> Property:
    declared = item.get("type", "")
    if not declared:
        base = next((r.get("base", "") for r in item.iter("restriction")), "")
        declared = base or item.get("ref", "")
    prefix, _, plain = declared.rpartition(":")
    # No type of XML Schema itself has the name of a geometry.
    return Property(
        name=item.get("name") or local(item.get("ref", "")),
        type=plain,
        nillable=item.get("nillable") == "true" or item.get("minOccurs") == "0",
        repeated=item.get("maxOccurs", "1") not in {"0", "1"},
        geometry=bool(prefix and _GEOMETRY.fullmatch(plain)),
    )


def stored_queries_in(body: bytes) -> tuple[StoredQuery, ...]:
    """Read a list of stored queries, or their descriptions.

    Raises:
        Unreadable: It is neither.
    """
    root = tree_of(body)
    if root.tag not in {"ListStoredQueriesResponse", "DescribeStoredQueriesResponse"}:
        raise Unreadable(f"its root element is {root.tag}")
    return tuple(
        StoredQuery(
            id=item.get("id", ""),
            title=text_of(item, "Title"),
            parameters=tuple(p.get("name", "") for p in item.iterfind("Parameter")),
            returns=_returned(item),
        )
        for item in root
        if item.tag in {"StoredQuery", "StoredQueryDescription"}
    )


def _returned(item: Element) -> tuple[str, ...]:
    listed = [(child.text or "").strip() for child in item.iterfind("ReturnFeatureType")]
    for query in item.iterfind("QueryExpressionText"):
        listed += query.get("returnFeatureTypes", "").split()
    return tuple(filter(None, listed))
