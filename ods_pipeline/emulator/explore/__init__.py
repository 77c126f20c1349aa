"""Opendatasoft's Explore API: catalog, records, facets, exports, and the query language ODSQL.

The WFS is elsewhere, and so is who may see what.
"""
