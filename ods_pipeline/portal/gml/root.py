"""Tells a feature collection by what its root holds, whatever an application calls it.

GDAL writes `ogr:FeatureCollection`, others `sf:SimpleFeatureCollection`; MapServer writes
`ms:msFeatureCollection`. Nothing here reads features or collections.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Callable, Mapping
from typing import Any

from ods_pipeline.portal.gml import containers
from ods_pipeline.portal.gml.exception_report import REPORTS
from ods_pipeline.portal.gml.geometry.markup import blank, is_gml, local

#: Called with whether the root is a collection.
Decided = Callable[[bool], None]

_WFS = "http://www.opengis.net/wfs"
# Its SpatialDataSet has members of its own and no name that tells.
_INSPIRE = "http://inspire.ec.europa.eu/schemas/base/"
# Names that no property of a feature has.
_FEATURE_MEMBERS = {"featureMember", "featureMembers"}
# What may stand before the first member; more than that is no description of a collection.
_MOST_EVENTS, _MOST_CHARACTERS = 10_000, 1 << 20


class RootHandler:
    """Holds the parser's events back until it is clear what the root is, and then repeats them.

    Members in a namespace of GML or WFS tell a collection. In the root's own namespace a `member`
    could as well be a property of a feature, so the root has to be named like a collection, and a
    member to hold an element that is not GML's. Boxes and descriptions stand in features and
    collections alike. If nothing else follows, the root's name decides.
    """

    def __init__(self, parser: pyexpat.XMLParserType, text: list[str]) -> None:
        self._parser = parser
        self._pieces = text

    def begin(self, name: str, attributes: Mapping[str, str], decided: Decided) -> None:
        """Look into the root that was just opened.

        Args:
            name: The root's name.
            attributes: Its attributes.
            decided: Called once, with the parser's handlers as they are now; the events in the
                root are repeated to the handlers that it leaves behind.
        """
        self._namespace = name.rpartition(" ")[0]
        self._collects = containers.is_named_collection(name) or name.startswith(_INSPIRE)
        self._empty = containers.is_empty_collection(name, attributes)
        self._decided = decided
        self._events: list[tuple[str, str, Mapping[str, str]]] = []
        self._characters = 0
        self._depth = 0
        self._in_member = False
        self._before = self._parser.StartElementHandler, self._parser.EndElementHandler
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close

    def _open(self, name: str, attributes: Mapping[str, str]) -> None:
        telling = self._take_text()
        self._hold("open", name, attributes)
        self._depth += 1
        if telling:
            self._decide(False)
        elif self._in_member:
            # What went wrong is said by whatever root.
            self._decide(local(name) in REPORTS or (self._collects and not is_gml(name)))
        elif self._depth == 1:
            self._look_at(name)
        elif len(self._events) > _MOST_EVENTS or self._characters > _MOST_CHARACTERS:
            self._decide(self._empty)

    def _look_at(self, name: str) -> None:
        """Decide by an element directly in the root, if it tells anything."""
        namespace, local_name = name.rpartition(" ")[0], local(name)
        if local_name in containers.MEMBERS:
            if is_gml(name) or namespace.startswith(_WFS):
                self._decide(True)
            elif namespace == self._namespace:
                self._collects = self._collects or local_name in _FEATURE_MEMBERS
                self._in_member = True
            else:
                self._decide(False)
        elif local_name not in containers.DESCRIPTIVE and local_name != "boundedBy":
            self._decide(False)

    def _close(self, name: str) -> None:
        telling = self._take_text()
        self._hold("close", name)
        self._depth -= 1
        self._in_member = False
        if telling:
            self._decide(False)
        elif self._depth < 0:
            self._decide(self._empty)

    def _take_text(self) -> bool:
        """Hold the text before a tag; whether it stands where a collection has none."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if text:
            self._hold("text", text)
        return (self._in_member or not self._depth) and not blank(text)

    def _hold(self, kind: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        self._events.append((kind, text, attributes or {}))
        self._characters += len(text)

    def _decide(self, collection: bool) -> None:
        parser: Any = self._parser
        parser.StartElementHandler, parser.EndElementHandler = self._before
        self._decided(collection)
        # Each event may change the handlers for the next one.
        for kind, text, attributes in self._events:
            if kind == "text":
                self._pieces.append(text)
            elif kind == "close":
                parser.EndElementHandler(text)
            else:
                parser.StartElementHandler(text, attributes)
