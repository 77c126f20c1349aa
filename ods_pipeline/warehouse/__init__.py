"""SQL: landed partitions become tables that follow their publisher.

Reads landed Parquet files and nothing else; nothing here speaks HTTP or Dagster.
"""

from ods_pipeline.warehouse.protocol import Held, Load, Warehouse, open_warehouse, shown

__all__ = ["Held", "Load", "Warehouse", "open_warehouse", "shown"]
