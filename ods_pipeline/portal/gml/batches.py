"""What a collection gives: features in batches, and what the document says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Declared:
    """What a document says of itself.

    Attributes:
        matched: Features that there are: `numberMatched`, or 1.1.0's `numberOfFeatures`; None when
            absent or `unknown`.
        returned: Features in this document, `numberReturned`; None when absent.
        next: Address of the next page, empty without.
        version: `1.1.0` or `2.0.0` by the root's namespace, empty when it is of neither.
    """

    matched: int | None = None
    returned: int | None = None
    next: str = ""
    version: str = ""


@dataclass(frozen=True)
class Geometries:
    """One geometry property of a batch.

    Attributes:
        wkb: Little-endian ISO WKB, x or longitude first; null where the property is absent, nil or
            empty.
        crs: Such as `EPSG:2154` or `OGC:CRS84`; empty where unknown.
    """

    wkb: pa.Array
    crs: str


@dataclass(frozen=True)
class FeatureBatch:
    """Some features, column by column.

    Attributes:
        ids: `gml:id` or `fid`; null where a feature has neither.
        texts: By local name; `string`, or `list<string>` from the first batch on in which the
            element is repeated. Null is absent or nil, empty text an empty element. GML's own name,
            description and identifier are `gml_name`, `gml_description`, `gml_identifier`.
        geometries: By local name. A property is a text until its first geometry is met.
        rows: Number of features.
    """

    ids: pa.Array
    texts: Mapping[str, pa.Array]
    geometries: Mapping[str, Geometries]
    rows: int
