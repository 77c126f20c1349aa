"""The forms that rows are given in: which there are, and by which name users write them.

How rows are brought into a form does not belong here.
"""

from enum import Enum


class Form(Enum):
    """A form of rows, by the name that users write it with."""

    TABLE = "pyarrow.Table"
    READER = "pyarrow.RecordBatchReader"
    PANDAS = "pandas.DataFrame"
    GEOPANDAS = "geopandas.GeoDataFrame"
    POLARS = "polars.DataFrame"
    LAZY = "polars.LazyFrame"
    RELATION = "duckdb.DuckDBPyRelation"
