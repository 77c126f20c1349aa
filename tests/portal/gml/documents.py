"""GML as servers write it, for tests: a writer of its own, which shares nothing with the reader."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import shapely

from ods_pipeline.portal.gml import Collection, FeatureBatch

GML = {"1.1.0": "http://www.opengis.net/gml", "2.0.0": "http://www.opengis.net/gml/3.2"}
WFS = {"1.1.0": "http://www.opengis.net/wfs", "2.0.0": "http://www.opengis.net/wfs/2.0"}
ODS = "https://portal.test/api/wfs/featuretype"
URN = "urn:ogc:def:crs:EPSG::4326"


@dataclass(frozen=True)
class Style:
    """How a server writes: version, container, srsName, order of axes, form of coordinates."""

    version: str = "1.1.0"
    members: str = "featureMembers"
    srs: str = URN
    latlon: bool = True
    form: str = "posList"
    ids: bool = False
    bounded: bool = False
    gap: str = ""
    dimension: str = "posList"


@dataclass(frozen=True)
class Feature:
    """A feature: id, texts (None absent, a list repeated) and geometries."""

    id: str | None = None
    texts: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Writes geometries and features in one style."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._number = 0

    def geometry(self, shape: Any) -> str:
        return self._shape(shape, f" srsName={quoteattr(self.style.srs)}" if self.style.srs else "")

    def _shape(self, shape: Any, attributes: str = "") -> str:
        kind = shape.geom_type
        if self.style.ids:
            self._number += 1
            attributes += f' gml:id="g.{self._number}"'
        if shape.has_z and self.style.dimension == "geometry":
            attributes += ' srsDimension="3"'
        old = self.style.form == "coordinates"
        if kind == "Point":
            return f"<gml:Point{attributes}>{self._run(shape, 'pos')}</gml:Point>"
        if kind == "LineString":
            return f"<gml:LineString{attributes}>{self._run(shape)}</gml:LineString>"
        if kind == "Polygon":
            outer, inner = (
                ("outerBoundaryIs", "innerBoundaryIs") if old else ("exterior", "interior")
            )
            sides = [(outer, shape.exterior), *((inner, ring) for ring in shape.interiors)]
            rings = "".join(
                f"<gml:{side}><gml:LinearRing>{self._run(ring)}</gml:LinearRing></gml:{side}>"
                for side, ring in sides
                if not ring.is_empty
            )
            return f"<gml:Polygon{attributes}>{rings}</gml:Polygon>"
        name, member = self._aggregate(kind, old)
        parts = [self._shape(part) for part in shape.geoms]
        if member.endswith("s"):
            inner_parts = f"<gml:{member}>{''.join(parts)}</gml:{member}>" if parts else ""
        else:
            inner_parts = "".join(f"<gml:{member}>{part}</gml:{member}>" for part in parts)
        return f"<gml:{name}{attributes}>{inner_parts}</gml:{name}>"

    def _aggregate(self, kind: str, old: bool) -> tuple[str, str]:
        plural = "s" if self.style.members == "featureMembers" else ""
        if kind == "MultiPoint":
            return "MultiPoint", f"pointMember{plural}"
        if kind == "GeometryCollection":
            return "MultiGeometry", f"geometryMember{plural}"
        if kind == "MultiLineString":
            return (
                ("MultiLineString", "lineStringMember")
                if old
                else ("MultiCurve", f"curveMember{plural}")
            )
        return (
            ("MultiPolygon", "polygonMember") if old else ("MultiSurface", f"surfaceMember{plural}")
        )

    def _run(self, shape: Any, one: str = "posList") -> str:
        places = list(shape.coords)
        if self.style.latlon:
            places = [(y, x, *z) for x, y, *z in places]
        if self.style.form == "coordinates":
            text = " ".join(",".join(map(repr, place)) for place in places)
            return f"<gml:coordinates>{text}</gml:coordinates>"
        texts = [" ".join(map(repr, place)) for place in places]
        if one == "pos" or self.style.form == "pos":
            return "".join(f"<gml:pos>{text}</gml:pos>" for text in texts) or "<gml:pos/>"
        dimension = ' srsDimension="3"' if shape.has_z and self.style.dimension == "posList" else ""
        return f"<gml:posList{dimension}>{' '.join(texts)}</gml:posList>"

    def feature(self, feature: Feature) -> str:
        gap = self.style.gap
        identity = "" if feature.id is None else f" gml:id={quoteattr(feature.id)}"
        parts = [f"<ods:trees{identity}>"]
        if self.style.bounded:
            parts.append(
                f"<gml:boundedBy><gml:Envelope srsName={quoteattr(self.style.srs or URN)}>"
                "<gml:lowerCorner>1 2</gml:lowerCorner><gml:upperCorner>3 4</gml:upperCorner>"
                "</gml:Envelope></gml:boundedBy>"
            )
        for name, value in feature.texts.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    parts.append(f"<ods:{name}>{escape(one)}</ods:{name}>")
        parts += [
            f"<ods:{name}>{self.geometry(shape)}</ods:{name}>"
            for name, shape in feature.shapes.items()
            if shape is not None
        ]
        return gap.join([*parts, "</ods:trees>"])

    def document(self, features: Iterable[Feature], **attributes: object) -> bytes:
        style, version = self.style, self.style.version
        written = [self.feature(feature) for feature in features]
        said = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items())
        prefix = "wfs" if style.members == "member" else "gml"
        if style.members.endswith("s"):
            inner = style.gap.join(written)
            inner = f"<{prefix}:{style.members}>{inner}</{prefix}:{style.members}>"
        else:
            inner = style.gap.join(
                f"<{prefix}:{style.members}>{one}</{prefix}:{style.members}>" for one in written
            )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<wfs:FeatureCollection xmlns:wfs="{WFS[version]}" xmlns:gml="{GML[version]}" '
            f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ods="{ODS}"{said}>'
            f"{style.gap}{inner}{style.gap}</wfs:FeatureCollection>"
        ).encode()


def document(features: Sequence[Feature], style: Style = Style(), **attributes: object) -> bytes:
    return Writer(style).document(features, **attributes)


def around(inner: str, head: str = "", version: str = "1.1.0") -> bytes:
    """One feature `x.1` with this inside."""
    return (
        f'<wfs:FeatureCollection xmlns:wfs="{WFS[version]}" xmlns:gml="{GML[version]}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ods="{ODS}">{head}'
        f'<gml:featureMember><ods:trees gml:id="x.1">{inner}</ods:trees></gml:featureMember>'
        "</wfs:FeatureCollection>"
    ).encode()


def chunked(body: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def read(body: bytes, size: int = 1 << 16, **options: Any) -> dict[str, list[Any]]:
    """All features, column by column; geometry as WKT, its CRS under `name:crs`."""
    return flat(list(Collection(chunked(body, size), **options)))


def flat(batches: Sequence[FeatureBatch]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"id": []}
    before = 0
    for batch in batches:
        arrays: dict[str, pa.Array] = {"id": batch.ids, **batch.texts}
        arrays |= {name: found.wkb for name, found in batch.geometries.items()}
        for name, array in arrays.items():
            columns.setdefault(name, [None] * before).extend(array.to_pylist())
        for name, found in batch.geometries.items():
            columns.setdefault(f"{name}:crs", []).append(found.crs)
        before += batch.rows
        for name, values in columns.items():
            if not name.endswith(":crs"):
                values.extend([None] * (before - len(values)))
    return columns


def shape(inner: str, head: str = "", **options: Any) -> Any:
    """The geometry of one feature, from the markup of its property `geo_shape`."""
    found = read(around(f"<ods:geo_shape>{inner}</ods:geo_shape>", head), **options)
    (wkb,) = found["geo_shape"]
    return None if wkb is None else shapely.from_wkb(wkb)
