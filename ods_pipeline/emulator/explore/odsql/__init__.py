"""ODSQL, the query language of the API, translated to the SQL of the engine.

What cannot be answered correctly is an error, and never ignored.
"""
