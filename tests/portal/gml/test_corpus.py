"""Every document of the corpus: what is read from it, or why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
import pytest
import shapely

from ods_pipeline.errors import GmlRefused, OdsPipelineError, ServiceException, Unproven
from ods_pipeline.portal.gml import hits_in, read_gml

CORPUS = Path(__file__).parent / "corpus"
POLYGON = "POLYGON ((7 48, 8 48, 8 49, 7 49, 7 48))"
HOLE = (
    "POLYGON ((7 48, 8 48, 8 49, 7 49, 7 48), (7.4 48.4, 7.6 48.4, 7.6 48.6, 7.4 48.6, 7.4 48.4))"
)
TRIANGLE = "POLYGON ((7 48, 8 48, 8 49, 7 48))"
SQUARE = "((7 48, 8 48, 8 49, 7 49, 7 48))"
LINE, HIGH_LINE = "LINESTRING (7 48, 8 49)", "LINESTRING Z (7 48 100, 8 49 101)"
POINT, FLIPPED = "POINT (7.7 48.5)", "POINT (48.5 7.7)"


@dataclass(frozen=True)
class Read:
    """What a document holds; `gdal` is what GDAL does wrong with it, if anything."""

    rows: int = 1
    shapes: Mapping[str, list[str | None]] = field(default_factory=dict)
    crs: str | None = "EPSG:4326"
    texts: Mapping[str, list[Any]] = field(default_factory=dict)
    gdal: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """Which error, and words of it."""

    error: type[OdsPipelineError]
    says: str


def one(shape: str | None, crs: str | None = "EPSG:4326", *, gdal: str = "") -> Read:
    return Read(1, {"geo_shape": [shape]}, crs, {"name": ["a"]}, gdal)


def two(*shapes: str | None, names: str = "ab", gdal: str = "") -> Read:
    return Read(2, {"geo_shape": [*shapes]}, texts={"name": [*names]}, gdal=gdal)


# Too many vertices to be told here: the comparison with GDAL is about them.
CURVED = Read(1, {}, "EPSG:2154", {"name": ["a"]})
NO_LAYER = "finds no layer"
TURNED = "takes the latitude for the longitude"

CUT = Refused(Unproven, "ends before its last element")
FEWER = Refused(Unproven, "it is not whole")
NO_PREFIX = Refused(GmlRefused, "prefix that is declared nowhere")
SERVICE = Refused(ServiceException, "Service must be WFS or CSW")
FOO = Refused(ServiceException, "about request.*FooBar")
TYPES = Refused(GmlRefused, "more than one type, .*feature_type=")

VARIANTS: dict[str, Read | Refused] = {
    "cdata": Read(1, {"geo_shape": [POINT]}, texts={"name": ["a <b> & c"]}),
    "circle": CURVED,
    "compositecurve": one(LINE),
    "curve_arc": CURVED,
    "curve_segments": one("LINESTRING (7 48, 8 49, 9 50)"),
    "dash_typename": one(POINT),
    "digit_typename": one(POINT),
    "dim3_dimension_attr": one(HIGH_LINE, gdal="takes points of three numbers for points of two"),
    "dim3_on_geom": one(HIGH_LINE),
    "dim3_on_poslist": one(HIGH_LINE),
    "empty_fc": Read(0, gdal=NO_LAYER),
    "empty_geom_elem": two(POINT, None),
    "empty_multisurface": two("MULTIPOLYGON EMPTY", HOLE, names="aa"),
    "empty_string": Read(1, {"geo_shape": [POINT]}, texts={"name": [""], "n2": [""]}),
    "exception": SERVICE,
    "fid_attr": Read(1, {"geo_shape": [POINT]}, texts={"gml_id": ["x.9"], "name": ["a"]}),
    "gml2_outerBoundaryIs": one(TRIANGLE),
    "gmlNull_boundedBy": one(POINT),
    "hits": FEWER,
    "mixed_types": Read(3, {"geo_shape": [POINT, HOLE, LINE]}, texts={"name": ["a"] * 3}),
    "multicurve_curveMember": one("MULTILINESTRING ((7 48, 8 49))"),
    "multicurve_curveMembers_Curve": one("MULTILINESTRING ((7 48, 8 49))"),
    "multilinestring": one("MULTILINESTRING ((7 48, 8 49))"),
    "multipoint_member": one("MULTIPOINT ((7 48))"),
    "multipoint_members": one("MULTIPOINT ((7 48), (8 49))"),
    "multipolygon_polygonMember": one(f"MULTIPOLYGON ({SQUARE})"),
    "multisurface_surfaceMember": one(f"MULTIPOLYGON ({SQUARE})"),
    "multisurface_surfaceMembers": one(f"MULTIPOLYGON ({SQUARE}, ((10 10, 11 10, 11 11, 10 10)))"),
    "nil_geom": two(POINT, None),
    "no_gml_id": one(POINT),
    "ods_v2_shape": Read(
        1,
        {"geo_point_2d": [POINT], "geo_shape": [POINT]},
        texts={"id": ["29082"], "beginn": ["2026-04-15 00:00:00+00:00"]},
    ),
    "only_boundedBy": Read(1, texts={"name": ["a"]}),
    "polygon_hole": one(HOLE),
    "pos3_no_dim": one("POINT Z (7 48 100)"),
    "repeated_elements": Read(1, {"geo_shape": [POINT]}, texts={"tag": [["a", "b"]]}),
    "ring_pos": one(TRIANGLE),
    # Short forms: of a projected CRS always x, y; of 4326 open, and longitude first by default.
    "srs_31468s": one(FLIPPED, "EPSG:31468"),
    "srs_httpxml": one(FLIPPED),
    "srs_short": one(FLIPPED),
    "srs_none": one(FLIPPED, None),
    "srs_crs84": one(FLIPPED, "OGC:CRS84"),
    "srs_crs84b": one(FLIPPED, "OGC:CRS84"),
    "srs_httpdef": one(POINT),
    "srs_l93urn": one(FLIPPED, "EPSG:2154"),
    "srs_urn": one(POINT),
    "srs_urn_ver": one(POINT),
    "srs_xurn": one(POINT),
    "srs_xurn2": one(POINT),
    "surface_patches": one(POLYGON),
    "truncated": CUT,
    "two_geoms_ods": Read(1, {"geo_point_2d": [POINT], "geo_shape": [HOLE]}),
    "types_guess": Read(1, {"geo_shape": [POINT]}, texts={"i": ["007"], "insee": ["01001"]}),
    "xlink": two("POINT (7 48)", "POINT (7 48)", gdal="does not follow the link"),
}
REAL: dict[str, Read | Refused] = {
    "ol_gml_gml32-complex": Refused(GmlRefused, "'attributeA', links elsewhere.*extern/1"),
    "ol_gml_more-geoms": Read(
        1, {"center": ["POINT (2 1)"]}, texts={"zoning": ["I-L"], "finord": [""]}
    ),
    "ol_gml_multiple-typenames-ns": FEWER,
    "ol_gml_multiple-typenames": TYPES,
    "ol_gml_ogr": Read(
        1,
        {"geometryProperty": ["POINT (115512.666 479836.28)"]},
        None,
        {"_gml_id": ["Plaatsbepalingspunt.0"], "gml_id": ["x2"]},
    ),
    "ol_gml_only-boundedby": FEWER,
    "ol_gml_repeated-name": Read(1, texts={"zoning": ["I-L"], "gml_id": ["zoning.1"]}),
    "ol_gml_topp-states-gml": Read(10, gdal="finds 16 features, and no geometry"),
    "ol_gml_topp-states-wfs": Read(3),
    "ol_wfs_EmptyFeatureCollection": Read(0, gdal=NO_LAYER),
    "ol_wfs_GetFeatureMultiple": Refused(GmlRefused, "root element is GetFeature"),
    "ol_wfs_NumberOfFeatures": FEWER,
    "ol_wfs_boundedBy": Read(1, crs="EPSG:28992", texts={"NULZONES": [" "]}),
    "ol_wfs_mapserver": Read(7, crs="EPSG:3857"),
}
GDAL: dict[str, Read | Refused] = {
    "gdal_archsites_wfs110_geoserver": FEWER,
    "gdal_first_feature_without_geometry": Read(
        2, {"geometryProperty": [None, "POINT (1 2)"]}, None
    ),
    "gdal_testlistfields_repeated_elements": Refused(GmlRefused, "'attrib3container', .*attrib3"),
    "gdal_xsi_nil": Read(2, texts={"intval": ["1", None]}),
}
PROTOCOL: dict[str, Read | Refused] = {
    "mapserver_ows_wfs11_disabled": Refused(ServiceException, "not enabled"),
    "mapserver_wfs11_describe": Refused(GmlRefused, "root element is schema"),
    "mapserver_wfs11_exception": Refused(ServiceException, "MissingParameterValue"),
    "mapserver_wfs11_exception_invalid_srsname": Refused(ServiceException, "about srsname"),
    # EPSG:4326 with the latitude first: MapServer says by its root that it means that.
    "mapserver_wfs11_get_feature": Read(21, gdal=TURNED),
    "mapserver_wfs11_get_feature_id": Read(4, gdal=TURNED),
    "mapserver_wfs11_get_feature_hits": FEWER,
    "mapserver_wfs_200_allgeoms_getfeature": TYPES,
    "mapserver_wfs_200_allgeoms_getfeaturebyid": Read(
        1, {"msGeometry": ["POINT (2 49)"]}, gdal=NO_LAYER
    ),
    "mapserver_wfsogr11_ogrgml": Refused(GmlRefused, "multipart"),
    "ogcclient_exception-report-1-1-0": FOO,
    "ogcclient_exception-report-2-0-0": FOO,
    "ogcclient_service-exception-report-1-0-0": FOO,
    "ogcclient_getfeature-hits-pigma-1-1-0": NO_PREFIX,
    "ogcclient_getfeature-hits-pigma-2-0-0": NO_PREFIX,
    "ogcclient_getfeature-props-cities-1-1-0": Read(10),
    "ogcclient_getfeature-props-states-1-1-0": Read(14, texts={}),
}
ODS: dict[str, Read | Refused] = {
    "ods_wfs110_exception": SERVICE,
    "ods_wfs200_exception": SERVICE,
    "ods_wfs200_stgallen_feature_inner": Refused(GmlRefused, "root element is geo_point_2d"),
}
FOLDERS = {
    "variants": VARIANTS,
    "real": REAL,
    "gdal": GDAL,
    "protocol": PROTOCOL,
    "ods": ODS,
}
TABLE = [
    (path, FOLDERS[path.parent.name].get(path.stem))
    for path in sorted(CORPUS.rglob("*"))
    if path.suffix in {".xml", ".gml"}
]
READ = [(path, said) for path, said in TABLE if isinstance(said, Read)]
REFUSED = [(path, said) for path, said in TABLE if isinstance(said, Refused)]


def named(value: Any) -> str | None:
    return value.stem if isinstance(value, Path) else ""


def geometric(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if str(frame[name].dtype) == "geometry"]


def plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if pd.isna(value) else value


def test_the_table_names_every_document() -> None:
    assert not [path.stem for path, said in TABLE if said is None]
    assert len(TABLE) == sum(map(len, FOLDERS.values()))


@pytest.mark.parametrize(("path", "said"), READ, ids=named)
def test_a_document_is_read_correctly(path: Path, said: Read) -> None:
    frame = read_gml(path)
    assert len(frame) == said.rows
    for name in geometric(frame):
        assert frame[name].crs == said.crs
    for name, expected in said.shapes.items():
        found = [None if shape is None else shape.wkt for shape in frame[name]]
        assert found == expected
    for name, values in said.texts.items():
        assert [plain(value) for value in frame[name]] == values


@pytest.mark.parametrize(("path", "said"), REFUSED, ids=named)
def test_a_document_is_refused_for_its_reason(path: Path, said: Refused) -> None:
    with pytest.raises(said.error, match=said.says):
        read_gml(path.read_bytes())


@pytest.mark.parametrize("path", [path for path, said in READ if not said.gdal], ids=named)
def test_geometry_is_gdals_where_gdal_is_right(path: Path) -> None:
    ours = read_gml(path)
    theirs = pyogrio.read_dataframe(path.read_bytes())
    # GDAL keeps one geometry of a feature: the last one.
    mine = [ours[name] for name in geometric(ours)[-1:]]
    others = [theirs.geometry] if "geometry" in theirs else []
    for one, other in zip(chain(*mine), chain(*others), strict=True):
        if one is None or one.is_empty:
            assert other is None or other.is_empty
        else:
            assert one.geom_type == other.geom_type
            assert one.has_z == other.has_z
            assert shapely.hausdorff_distance(one, other, densify=0.1) < 0.002
            # GDAL loses the last of seventeen digits.
            assert one.equals_exact(other, 1e-12) or "arc" in path.stem or "circle" in path.stem


def test_mapserver_is_right_where_gdal_is_not() -> None:
    frame = read_gml(CORPUS / "protocol" / "mapserver_wfs11_get_feature.xml")
    west, south, east, north = frame.total_bounds
    # Nova Scotia and Quebec's islands.
    assert -67 < west < east < -59
    assert 43 < south < north < 48


def test_a_layer_of_several_types_is_read_type_by_type() -> None:
    path = CORPUS / "protocol" / "mapserver_wfs_200_allgeoms_getfeature.xml"
    for name, wkt in {
        "point": "POINT (2 49)",
        "multipoint": "MULTIPOINT ((2 49), (3 50))",
        "linestring": "LINESTRING (2 49, 3 50)",
    }.items():
        assert list(read_gml(path, feature_type=f"ms:{name}").to_wkt()["msGeometry"]) == [wkt]
    (polygon,) = read_gml(path, feature_type="polygon").geometry
    assert len(polygon.interiors) == 1
    with pytest.raises(GmlRefused, match=r"holds no 'trees', but 'linestring', .*'polygon'"):
        read_gml(path, feature_type="trees")
    several = r"more than one type, 'point', 'linestring', 'multilinestring', .*, 'polygon': name"
    with pytest.raises(GmlRefused, match=several):
        read_gml(path)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("variants/hits.gml", 364237),
        ("real/ol_wfs_NumberOfFeatures.xml", 625),
        ("protocol/mapserver_wfs11_get_feature_hits.xml", 21),
        ("variants/empty_fc.gml", 0),
    ],
)
def test_hits_are_what_the_reply_declares(name: str, count: int) -> None:
    assert hits_in([(CORPUS / name).read_bytes()]) == count


@pytest.mark.parametrize("name", ["variants/exception.gml", "ods/ods_wfs200_exception.xml"])
def test_hits_are_not_read_from_an_exception_report(name: str) -> None:
    with pytest.raises(ServiceException):
        hits_in([(CORPUS / name).read_bytes()])
