"""What a Parquet export says of the reference system of its geometries.

Longitude and latitude are asked for. GeoParquet and GeoArrow let a file say that it has others;
coordinates that are taken for degrees all the same would be wrong without a sign of it. Values do
not belong here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ods_pipeline.errors import Unreferenced

# Of the same axes and, to a metre, the same datum.
_LONLAT = {"OGC:CRS84", "OGC:CRS84H", "EPSG:4326", "EPSG:4979"}
# `EPSG:4326`, a URN, a URL, or the number alone.
_IDENTIFIER = re.compile(r"^(?:.*?(OGC|EPSG)\b[^A-Z]*?[:/]+)?(CRS84h?|[0-9]+)$", re.IGNORECASE)
_LONLAT_NAMES = {"WGS 84", "WGS 84 (CRS84)", "WGS84", "WGS 84 longitude-latitude"}


def require_lonlat(schema: pa.Schema) -> None:
    """Refuse an export that says that its coordinates are not longitude and latitude.

    Args:
        schema: Of the export, with the metadata of its footer.

    Raises:
        Unreferenced: A column has another reference system.
    """
    for column, crs in _declared(schema):
        name = _name(crs)
        if name and name not in _LONLAT | _LONLAT_NAMES:
            raise Unreferenced(
                f"column {column!r} of the Parquet export is in {name}, where longitude and "
                "latitude were asked for; ask the portal to serve the dataset in EPSG:4326"
            )


def _declared(schema: pa.Schema) -> Iterator[tuple[str, Any]]:
    """The columns of which something is said, and what."""
    geo = _json((schema.metadata or {}).get(b"geo"))
    columns = geo.get("columns")
    for name, entry in (columns if isinstance(columns, dict) else {}).items():
        if isinstance(entry, dict):
            yield str(name), entry.get("crs")
    for item in schema:
        said = (item.metadata or {}).get(b"ARROW:extension:metadata")
        yield item.name, _json(said).get("crs")


def _json(text: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _name(crs: Any) -> str:
    """Authority and code of a reference system, or its name; empty where nothing is said."""
    if isinstance(crs, dict):
        identity = crs.get("id") or next(iter(crs.get("ids") or ()), None)
        if isinstance(identity, dict) and "code" in identity:
            return f"{identity.get('authority', '')}:{identity['code']}".upper()
        return str(crs.get("name") or "a reference system without a name")
    text = str(crs or "")
    known = _IDENTIFIER.search(text)
    if known:
        return f"{known[1] or 'EPSG'}:{known[2]}".upper()
    return "WGS 84" if text.startswith('GEOGCS["WGS 84"') else text[:100]
