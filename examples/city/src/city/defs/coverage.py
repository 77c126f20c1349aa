"""A GeoPandas asset downstream of a layer."""

import dagster as dg
import geopandas as gpd

from ods_pipeline import refresh_on_change

STATIONS = dg.AssetKey(["paris", "velib-emplacement-des-stations__features"])
METRES = 300


@dg.asset(
    ins={"stations": dg.AssetIn(key=STATIONS)},
    group_name="marts",
    kinds={"geopandas"},
    automation_condition=refresh_on_change(),
)
def coverage(stations: gpd.GeoDataFrame) -> dg.MaterializeResult:
    """The area within a short walk of a station."""
    # Lambert-93: metres, where the layer itself is in degrees.
    around = stations.to_crs(2154).buffer(METRES).union_all()
    return dg.MaterializeResult(
        metadata={"stations": len(stations), "square_kilometres": around.area / 1e6}
    )
