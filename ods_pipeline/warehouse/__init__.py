"""SQL: loads landed partitions into tables.

Reads landed Parquet files and nothing else; no HTTP and no Dagster.
"""

from ods_pipeline.warehouse.opening import open_warehouse, public_url
from ods_pipeline.warehouse.protocol import Load, LoadedTable, Warehouse

__all__ = ["Load", "LoadedTable", "Warehouse", "open_warehouse", "public_url"]
