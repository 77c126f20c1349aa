"""The warehouse that is a PostgreSQL server, with PostGIS for geometries.

Everything that psycopg is needed for; what is decided for every engine stands beside this folder.
"""
