"""Tables in memory: the columns of a dataset as Arrow types and values.

No files of the lake, no HTTP, SQL or Dagster.
"""
