"""MapServer over the layers: its mapfile, and the program started.

How requests reach it is for `bridge` and `fastcgi`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.wfs.bridge import bridged
from tests.servers.wfs.fastcgi import served
from tests.servers.wfs.layers import FIELDS, LAYERS, Layer
from tests.servers.wfs.programs import found

# MapServer knows three kinds of layers, and asks for the geometry type in two more spellings.
_KINDS = {
    "Point": ("POINT", "point"),
    "LineString": ("LINE", "line"),
    "Polygon": ("POLYGON", "polygon"),
    "MultiPoint": ("POINT", "multipoint"),
    "MultiLineString": ("LINE", "multiline"),
    "MultiPolygon": ("POLYGON", "multipolygon"),
}
_TYPED = {"int": "Long", "double": "Double"}
_MAP = """\
MAP
  NAME "city"
  EXTENT -180 -90 180 90
  WEB METADATA
    "ows_enable_request" "*"
    "ows_title" "The city’s layers"
    "ows_onlineresource" "{url}"
    "wfs_namespace_prefix" "ods"
    "wfs_namespace_uri" "{url}/featuretype"
    {limit}
  END END
{layers}
END
"""
_LAYER = """\
  LAYER
    NAME "{name}"
    TYPE {type}
    CONNECTIONTYPE OGR
    CONNECTION "{path}"
    DATA "{name}"
    PROJECTION "init=epsg:{epsg}" END
    METADATA
{metadata}
    END
  END
"""


@contextmanager
def mapserver(folder: Path, package: Path, cap: int | None = None) -> Iterator[str]:
    """Serve the layers with MapServer.

    Args:
        folder: For its files.
        package: The GeoPackage with the layers.
        cap: How many features it gives at most; all without it.

    Yields:
        The address of the host that it is served from.
    """
    settings, mapfile = folder / "mapserver.conf", folder / "city.map"
    settings.write_text("CONFIG\nEND\n")
    told = {"MAPSERVER_CONFIG_FILE": str(settings), "MS_MAPFILE": str(mapfile)}
    with served(found("mapserv"), folder, told) as program, bridged(program, told) as url:
        layers = "".join(_layer(layer, package) for layer in LAYERS)
        limit = f'"wfs_maxfeatures" "{cap}"' if cap else ""
        mapfile.write_text(_MAP.format(url=f"{url}/api/wfs", limit=limit, layers=layers))
        yield url


def _layer(layer: Layer, package: Path) -> str:
    type, _ = _KINDS[layer.shape]
    metadata = {
        "ows_title": f"The layer {layer.name}",
        "ows_srs": f"EPSG:{layer.epsg}",
        "gml_include_items": "all",
        **({"gml_types": "auto"} if layer.plain else _spelt_out(layer)),
    }
    lines = "\n".join(f'      "{key}" "{text}"' for key, text in metadata.items())
    return _LAYER.format(name=layer.name, type=type, path=package, epsg=layer.epsg, metadata=lines)


def _spelt_out(layer: Layer) -> dict[str, str]:
    return {
        "ows_geomtype": f"{layer.shape}{'25D' if layer.heights else ''}",
        "gml_featureid": "ref",
        "gml_geometries": "geom",
        "gml_geom_type": _KINDS[layer.shape][1],
        "gml_geom_occurances": "0,1",
        "wfs_geometry_precision": "17",
        **{f"gml_{field.name}_type": _TYPED.get(field.type, "Character") for field in FIELDS},
    }
