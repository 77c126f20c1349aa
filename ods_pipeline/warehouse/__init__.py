"""SQL: landed partitions become tables that follow their publisher.

Reads landed Parquet files and nothing else; nothing here speaks HTTP or Dagster.
"""

from ods_pipeline.warehouse.opening import open_warehouse, public_url
from ods_pipeline.warehouse.protocol import Load, LoadedTable, Warehouse

__all__ = ["Load", "LoadedTable", "Warehouse", "open_warehouse", "public_url"]
