"""The warehouse that is an Iceberg catalog, which many engines read.

Everything that pyiceberg is needed for; what is decided for every engine stands beside this folder.
"""
