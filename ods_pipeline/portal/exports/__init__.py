"""Exports of records: Parquet and CSV, read in batches of Arrow.

Nothing here writes to the lake.
"""
