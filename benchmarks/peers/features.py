"""WFS features to a GeoParquet file, as somebody would write it in the fewest lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.download import features
from benchmarks.portal import DATASET

if TYPE_CHECKING:
    import pyarrow as pa


def pyogrio_gml(url: str, folder: Path) -> Path:
    """Download, then GDAL's reader as Arrow, which asks the portal for the schema."""
    import pyogrio

    _, table = pyogrio.read_arrow(features(url, folder))
    return _geoparquet(table, folder)


def geopandas_gml(url: str, folder: Path) -> Path:
    """Download, then a GeoDataFrame, as everybody does it."""
    import geopandas

    target = folder / "out.parquet"
    geopandas.read_file(features(url, folder)).to_parquet(target, compression="zstd")
    return target


def gdal_wfs(url: str, folder: Path) -> Path:
    """GDAL's own client of WFS, as Arrow."""
    import pyogrio

    source = f"WFS:{url}/api/wfs?version=1.1.0"
    _, table = pyogrio.read_arrow(source, layer=f"ods:{DATASET}")
    return _geoparquet(table, folder)


def owslib_gml(url: str, folder: Path) -> Path:
    """OWSLib asks, GDAL reads what came."""
    import pyogrio
    from owslib.wfs import WebFeatureService

    document = folder / "features.gml"
    service = WebFeatureService(f"{url}/api/wfs", version="1.1.0")
    with document.open("wb") as file:
        file.write(service.getfeature(typename=[f"ods:{DATASET}"]).read())
    _, table = pyogrio.read_arrow(document)
    return _geoparquet(table, folder)


def _geoparquet(table: pa.Table, folder: Path) -> Path:
    """Arrow's columns of geometry as GeoParquet describes them, which neither library does."""
    import json

    import pyarrow.parquet as pq

    columns = {}
    for field in table.schema:
        known = field.metadata or {}
        if known.get(b"ARROW:extension:name") == b"geoarrow.wkb":
            crs = json.loads(known.get(b"ARROW:extension:metadata") or b"{}").get("crs")
            columns[field.name] = {"encoding": "WKB", "geometry_types": [], "crs": crs}
    geo = {"version": "1.1.0", "primary_column": [*columns, ""][-1], "columns": columns}
    target = folder / "out.parquet"
    described = table.replace_schema_metadata({"geo": json.dumps(geo)} if columns else {})
    pq.write_table(described, target, compression="zstd")
    return target
