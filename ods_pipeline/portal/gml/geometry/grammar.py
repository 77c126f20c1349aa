"""Turns geometry elements of GML 2, 3.1.1 and 3.2 into shapes.

It supports points, lines, arcs, circles, polygons, surfaces of patches and all aggregates of them;
splines, solids and topology are refused. Nothing here parses coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ods_pipeline.portal.gml.geometry.coordinates import Coordinates
from ods_pipeline.portal.gml.geometry.markup import Node, small
from ods_pipeline.portal.gml.geometry.shapes import (
    COLLECTION,
    LINE,
    MULTI_LINE,
    MULTI_POINT,
    MULTI_POLYGON,
    POINT,
    POLYGON,
    Path,
    Segment,
    Shape,
)
from ods_pipeline.tables.curves import Unreadable

_POSITIONS = ("pos", "posList", "coordinates", "coord", "pointProperty", "pointRep")
_LINEAR = frozenset({"LineString", "LineStringSegment", "LinearRing", "GeodesicString", "Geodesic"})
_ARCS = {"Arc": "arcs", "ArcString": "arcs", "Circle": "circle"}
_AROUND = frozenset({"ArcByCenterPoint", "CircleByCenterPoint"})
_CURVES = frozenset(
    {"LineString", "LinearRing", "Curve", "CompositeCurve", "OrientableCurve", "Ring"}
)
_PATCHES = ("PolygonPatch", "Triangle", "Rectangle")
_DEGREES = frozenset({"", "deg", "#deg", "degree", "urn:ogc:def:uom:EPSG::9102"})
_METRES = frozenset({"", "m", "#m", "metre", "meter", "urn:ogc:def:uom:EPSG::9001"})


def shape(node: Node, default: int) -> Shape:
    """The shape of a geometry element.

    Args:
        node: The element.
        default: Numbers per point if not declared: those of its CRS, or of the box of its feature
            or collection.

    Raises:
        Unreadable: It is not a geometry, or of a kind that is not supported.
    """
    return _Grammar(default).shape(node)


class _Grammar:
    def __init__(self, default: int) -> None:
        self._default = default
        self._whole: dict[str, Callable[[Node], Shape]] = {
            "Point": self._point,
            "Polygon": self._polygon,
            "Surface": self._surface,
            "PolyhedralSurface": self._surface,
            "TriangulatedSurface": self._surface,
            "CompositeSurface": self._composite_surface,
            "OrientableSurface": self._orientable_surface,
            "MultiPoint": self._aggregate(MULTI_POINT, "pointMember", "pointMembers"),
            "MultiCurve": self._aggregate(MULTI_LINE, "curveMember", "curveMembers"),
            "MultiLineString": self._aggregate(MULTI_LINE, "lineStringMember"),
            "MultiSurface": self._aggregate(MULTI_POLYGON, "surfaceMember", "surfaceMembers"),
            "MultiPolygon": self._aggregate(MULTI_POLYGON, "polygonMember"),
            "MultiGeometry": self._aggregate(COLLECTION, "geometryMember", "geometryMembers"),
            "Envelope": self._box,
            "Box": self._box,
        }

    def shape(self, node: Node) -> Shape:
        if node.name in _CURVES:
            return Shape(LINE, (self._path(node),))
        if node.name not in self._whole:
            raise Unreadable(f"is a {node.name}, which is not supported")
        return self._whole[node.name](node)

    def _point(self, node: Node) -> Shape:
        return Shape(POINT, (Path((Segment("line", self._runs(node, *_POSITIONS)),)),))

    def _polygon(self, node: Node) -> Shape:
        sides = node.only("exterior", "interior", "outerBoundaryIs", "innerBoundaryIs")
        outer = [side for side in sides if side.name in ("exterior", "outerBoundaryIs")]
        inner = [side for side in sides if side not in outer]
        if len(outer) > 1 or (inner and not outer):
            raise Unreadable(f"has {len(outer)} exteriors in one {node.name}")
        rings = [ring for side in [*outer, *inner] for ring in side.only("LinearRing", "Ring")]
        if len(rings) < len(sides) and len(sides) > 1:
            raise Unreadable(f"has a {node.name} with a side that is missing")
        return Shape(POLYGON, tuple(self._path(ring) for ring in rings))

    def _surface(self, node: Node) -> Shape:
        holders = node.only("patches", "polygonPatches", "trianglePatches")
        patches = [patch for holder in holders for patch in holder.only(*_PATCHES)]
        return _surface_of([self._polygon(patch) for patch in patches])

    def _composite_surface(self, node: Node) -> Shape:
        return _surface_of([self.shape(part) for part in _members(node, "surfaceMember")])

    def _orientable_surface(self, node: Node) -> Shape:
        # A map does not show which side is up.
        return self.shape(_one(node, "baseSurface"))

    def _aggregate(self, type_: int, *members: str) -> Callable[[Node], Shape]:
        fits = {MULTI_POINT: POINT, MULTI_LINE: LINE, MULTI_POLYGON: POLYGON}.get(type_)

        def aggregate(node: Node) -> Shape:
            parts = [self.shape(part) for part in _members(node, *members)]
            if fits:
                parts = _flat(parts, type_)
            if fits and any(part.type != fits for part in parts):
                raise Unreadable(f"has other geometry in a {node.name}")
            return Shape(type_, parts=tuple(parts))

        return aggregate

    def _box(self, node: Node) -> Shape:
        corners = self._runs(node, "lowerCorner", "upperCorner", *_POSITIONS)
        return Shape(POLYGON, (Path((Segment("box", corners),)),) if corners else ())

    def _path(self, node: Node) -> Path:
        if node.name in _LINEAR:
            return Path((Segment("line", self._runs(node, *_POSITIONS)),))
        if node.name in _ARCS:
            return Path((Segment(_ARCS[node.name], self._runs(node, *_POSITIONS)),))
        if node.name in _AROUND:
            return Path((self._around(node),))
        if node.name == "Curve":
            parts = [part for holder in node.only("segments") for part in holder]
        elif node.name == "OrientableCurve":
            part = self._path(_one(node, "baseCurve"))
            return Path((part,), reverse=node.attributes.get("orientation") == "-")
        elif node.name in ("CompositeCurve", "Ring"):
            parts = _members(node, "curveMember", "curveMembers")
        else:
            raise Unreadable(f"has a {node.name}, a type of curve that is not supported")
        return Path(tuple(self._path(part) for part in parts))

    def _around(self, node: Node) -> Segment:
        numbers = {"radius", "startAngle", "endAngle"}
        positions = node.only(*numbers, *_POSITIONS)
        given = {child.name: child for child in positions if child.name in numbers}
        circle = node.name == "CircleByCenterPoint"
        if set(given) - {"radius"} != (set() if circle else numbers - {"radius"}):
            raise Unreadable(f"has a {node.name} without its angles")
        for name, child in given.items():
            units = _METRES if name == "radius" else _DEGREES
            if child.attributes.get("uom", "") not in units or len(child.slots) != 1:
                raise Unreadable(f"has a {node.name} whose {name} cannot be read")
        node.children = [child for child in positions if child.name not in numbers]
        slots = tuple(
            given[name].slots[0] for name in ("radius", "startAngle", "endAngle") if name in given
        )
        return Segment("around", self._runs(node, *_POSITIONS), slots)

    def _runs(self, node: Node, *names: str) -> tuple[Coordinates, ...]:
        """The points in an element; consecutive `pos` make one run."""
        runs: list[Coordinates] = []
        # A line may have thousands of `pos`: adding them one by one to a tuple would be slow.
        slots: list[list[int]] = []
        for child in node.only(*names):
            if child.name in ("pointProperty", "pointRep"):
                inner = self._runs(_one(child, None), *_POSITIONS)
            else:
                run = self._run(child)
                inner = () if run is None else (run,)
            for run in inner:
                last = runs[-1] if runs else None
                if last and last.form == run.form == "pos" and last.dimension == run.dimension:
                    slots[-1] += run.slots
                else:
                    runs.append(run)
                    slots.append([*run.slots])
        return tuple(replace(run, slots=tuple(all_)) for run, all_ in zip(runs, slots, strict=True))

    def _run(self, node: Node) -> Coordinates | None:
        if node.name == "coord":
            axes = node.only("X", "Y", "Z")
            if [axis.name for axis in axes] not in (["X", "Y"], ["X", "Y", "Z"]):
                raise Unreadable("has a coord that is not X, Y and at most Z")
            return Coordinates(tuple(slot for axis in axes for slot in axis.slots), "axes")
        if node.children:
            raise Unreadable(f"has {node.children[0].name} in {node.name}")
        if not node.slots:
            return None
        return _coordinates(node, self._default)


def _coordinates(node: Node, default: int) -> Coordinates:
    slots, given = tuple(node.slots), node.attributes
    if node.name == "posList":
        count = small(given.get("count", ""))
        return Coordinates(slots, "list", node.dimension, default, -1 if count is None else count)
    if node.name == "coordinates":
        return Coordinates(
            slots,
            "tuples",
            decimal=given.get("decimal", "."),
            within=given.get("cs", ","),
            between=given.get("ts", " "),
        )
    return Coordinates(slots, "pos", node.dimension)


def _members(node: Node, *names: str) -> list[Node]:
    return [part for holder in node.only(*names) for part in holder.only(*{p.name for p in holder})]


def _one(node: Node, holder: str | None) -> Node:
    """The only element in the only holder, or in the node itself."""
    holders = [node] if holder is None else node.only(holder)
    parts = [part for each in holders for part in each]
    if len(parts) != 1:
        raise Unreadable(f"has {len(parts)} elements in {node.name} instead of one")
    return parts[0]


def _flat(parts: Iterable[Shape], type_: int) -> list[Shape]:
    """Parts of an aggregate, with those of the aggregates in it."""
    return [
        single
        for part in parts
        for single in (_flat(part.parts, type_) if part.type == type_ else [part])
    ]


def _surface_of(polygons: list[Shape]) -> Shape:
    """One polygon as itself, several as one surface, none as an empty polygon."""
    flat = _flat(polygons, MULTI_POLYGON)
    if not flat:
        return Shape(POLYGON)
    return flat[0] if len(flat) == 1 else Shape(MULTI_POLYGON, parts=tuple(flat))
