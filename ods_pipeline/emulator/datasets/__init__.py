"""What the portal holds: datasets with their declarations and metadata, and the rows in DuckDB.

No request is read and no reply is written here.
"""
