"""SQL that writes geometries as GML, by rewriting text: no number is parsed and printed again.

Other properties of a feature do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.quirks import WfsQuirks

# srsName, and whether latitude comes first.
SRS = {
    "urn": ("urn:ogc:def:crs:EPSG::4326", True),
    "x-urn": ("urn:x-ogc:def:crs:EPSG:4326", True),
    "http": ("http://www.opengis.net/def/crs/EPSG/0/4326", True),
    "short_lonlat": ("EPSG:4326", False),
    "short_latlon": ("EPSG:4326", True),
    "gml_lonlat": ("http://www.opengis.net/gml/srs/epsg.xml#4326", False),
    "crs84": ("urn:ogc:def:crs:OGC:1.3:CRS84", False),
    "none_lonlat": ("", False),
    "none_latlon": ("", True),
}
NUMBER = r"([^\[\],]+)"
POSITION_WITH_Z = rf"^\[+{NUMBER},{NUMBER},{NUMBER}\]"
CURVE_NAMES = {
    "MultiLineString": ("MultiCurve", "curveMember"),
    "MultiPolygon": ("MultiSurface", "surfaceMember"),
}
SIMPLE_NAMES = {
    "MultiLineString": ("MultiLineString", "lineStringMember"),
    "MultiPolygon": ("MultiPolygon", "polygonMember"),
}


@dataclass(frozen=True)
class GmlWriter:
    """Writes geometries, with collections nested up to ``collection_depth`` times."""

    quirks: WfsQuirks
    collection_depth: int = 0

    def point(self, sql: str) -> str:
        """SQL for a stored point."""
        ends = ("lat", "lon") if self._latitude_first else ("lon", "lat")
        numbers = [self._rounded(f"({sql}).{end}::VARCHAR") for end in ends]
        return self._point(" || ' ' || ".join(numbers), self._head("Point"))

    def shape(self, sql: str) -> str:
        """SQL for a GeoJSON text of any type."""
        return f"{self._geometries(f'[({sql})::VARCHAR]', self.collection_depth)}[1]"

    def _geometries(self, texts: str, depth: int) -> str:
        """SQL for a list of them.

        The steps follow each other instead of being nested: the engine takes minutes to plan
        nested lambdas.
        """
        name = f"v{depth}"
        coordinates = f"json_extract({name}, '$.coordinates')::VARCHAR"
        kind = f"json_extract_string({name}, '$.type')"
        # The whole text is only carried along where there may be collections.
        whole = (f", 'g': {name}", f", 'g': {name}.g") if depth else ("", "")
        read = f"{{'k': {kind}, 't': {coordinates}{whole[0]}}}"
        z = _has_z(f"{name}.t")
        flat = f"{{'k': {name}.k, 'z': {z}, 't': {self._positions_text(name)}{whole[1]}}}"
        for step in (read, flat, self._geometry(name, depth)):
            texts = f"list_transform({texts}, lambda {name}: {step})"
        return texts

    @property
    def _latitude_first(self) -> bool:
        return SRS[self.quirks.srs][1]

    def _head(self, kind: str, z: str = "") -> str:
        """SQL for the inside of a start tag."""
        srs = SRS[self.quirks.srs][0]
        head = sql_text(f"gml:{kind}" + (f' srsName="{srs}"' if srs else ""))
        return f"{head} || {z}" if z else head

    def _positions_text(self, name: str) -> str:
        """SQL for the coordinates with each position as ``y x``, still in their brackets."""
        text = f"{name}.t"
        first, second = (r"\2", r"\1") if self._latitude_first else (r"\1", r"\2")
        flat = _replaced(text, rf"\[{NUMBER},{NUMBER}\]", f"{first} {second}")
        solid = _replaced(flat, rf"\[{NUMBER},{NUMBER},{NUMBER}\]", rf"{first} {second} \3")
        return self._rounded(f"CASE WHEN {_has_z(text)} THEN {solid} ELSE {flat} END")

    def _rounded(self, sql: str) -> str:
        decimals = self.quirks.decimals
        if decimals is None:
            return sql
        return _replaced(sql, rf"(\.[0-9]{{{decimals}}})[0-9]+", r"\1")

    def _geometry(self, name: str, depth: int) -> str:
        text = f"{name}.t"
        z = f"CASE WHEN {name}.z THEN ' srsDimension=\"3\"' ELSE '' END"
        position = f"replace({text}, '[]', '')"
        line, rings = _without_brackets(text, 1), _without_brackets(text, 2)
        return (
            f"CASE {name}.k WHEN 'Point' THEN {self._point(position, self._head('Point', z))}"
            f" WHEN 'LineString' THEN {self._line(line, self._head('LineString', z))}"
            f" WHEN 'Polygon' THEN {self._polygon(rings, self._head('Polygon', z))}"
            f" WHEN 'MultiPoint' THEN {self._multi_point(text, z)}"
            f" WHEN 'MultiLineString' THEN {self._multi_line(text, z)}"
            f" WHEN 'MultiPolygon' THEN {self._multi_polygon(text, z)}"
            f" WHEN 'GeometryCollection' THEN {self._collection(name, depth)} END"
        )

    def _point(self, position: str, head: str = "'gml:Point'") -> str:
        if self.quirks.points == "coordinates":
            inner = f"'<gml:coordinates>' || replace({position}, ' ', ',') || '</gml:coordinates>'"
        else:
            inner = f"'<gml:pos>' || {position} || '</gml:pos>'"
        return f"'<' || {head} || '>' || {inner} || '</gml:Point>'"

    def _positions(self, text: str) -> str:
        """SQL for ``y x,y x`` inside of a line or ring."""
        if self.quirks.positions == "pos":
            joint = sql_text("</gml:pos><gml:pos>")
            return f"'<gml:pos>' || replace({text}, ',', {joint}) || '</gml:pos>'"
        if self.quirks.positions == "coordinates":
            swapped = f"translate({text}, ' ,', ', ')"
            return f"'<gml:coordinates>' || {swapped} || '</gml:coordinates>'"
        return f"'<gml:posList>' || replace({text}, ',', ' ') || '</gml:posList>'"

    def _line(self, text: str, head: str = "'gml:LineString'") -> str:
        return f"'<' || {head} || '>' || {self._positions(text)} || '</gml:LineString>'"

    def _ring(self, text: str, side: str) -> str:
        return (
            f"'<gml:{side}><gml:LinearRing>' || {self._positions(text)}"
            f" || '</gml:LinearRing></gml:{side}>'"
        )

    def _polygon(self, text: str, head: str = "'gml:Polygon'") -> str:
        first = self._ring(f"split_part({text}, '],[', 1)", "exterior")
        holes = _concatenated(f"string_split({text}, '],[')[2:]", "h", self._ring("h", "interior"))
        return (
            f"'<' || {head} || '>' || CASE {text} WHEN '' THEN '' ELSE {first} END"
            f" || CASE WHEN contains({text}, '],[') THEN {holes} ELSE '' END || '</gml:Polygon>'"
        )

    def _multi_point(self, text: str, z: str) -> str:
        parts = _parts(text, 1, ",")
        members = _concatenated(parts, "m", _member("pointMember", self._point("m")))
        return f"'<' || {self._head('MultiPoint', z)} || '>' || {members} || '</gml:MultiPoint>'"

    def _multi_line(self, text: str, z: str) -> str:
        parts = _parts(text, 2, "],[")
        return self._multi("MultiLineString", z, parts, self._line("m"))

    def _multi_polygon(self, text: str, z: str) -> str:
        parts = _parts(text, 3, "]],[[")
        return self._multi("MultiPolygon", z, parts, self._polygon("m"))

    def _multi(self, kind: str, z: str, parts: str, written: str) -> str:
        names = CURVE_NAMES if self.quirks.multi == "curved" else SIMPLE_NAMES
        kind, member = names[kind]
        members = _concatenated(parts, "m", _member(member, written))
        return f"'<' || {self._head(kind, z)} || '>' || {members} || '</gml:{kind}>'"

    def _collection(self, name: str, depth: int) -> str:
        if depth == 0:
            return "error('GeometryCollections are nested too deep')"
        geometries = f"json_extract({name}.g, '$.geometries[*]')::VARCHAR[]"
        written = self._geometries(geometries, depth - 1)
        members = _concatenated(written, f"w{depth}", _member("geometryMember", f"w{depth}"))
        return f"'<' || {self._head('MultiGeometry')} || '>' || {members} || '</gml:MultiGeometry>'"


def _replaced(text: str, pattern: str, by: str) -> str:
    return f"regexp_replace({text}, {sql_text(pattern)}, {sql_text(by)}, 'g')"


def _has_z(text: str) -> str:
    """Whether the first position has three numbers."""
    return f"regexp_matches({text}, {sql_text(POSITION_WITH_Z)})"


def _without_brackets(text: str, brackets: int) -> str:
    """SQL for a text without so many brackets at either end; empty if there is nothing else."""
    return f"{text}[{brackets + 1}:-{brackets + 1}]"


def _parts(text: str, brackets: int, joint: str) -> str:
    """SQL for the members of a multi-geometry; an empty one has none."""
    parts = f"string_split({_without_brackets(text, brackets)}, {sql_text(joint)})"
    return f"CASE {text} WHEN '[]' THEN [] ELSE {parts} END"


def _concatenated(items: str, name: str, written: str) -> str:
    return f"array_to_string(list_transform({items}, lambda {name}: {written}), '')"


def _member(name: str, written: str) -> str:
    return f"'<gml:{name}>' || {written} || '</gml:{name}>'"
