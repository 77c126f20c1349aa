"""What the API answers in pages: records and aggregates, facets, and searches of the catalog.

Bulk exports, which have no limit of pages, belong to `exports`.
"""
