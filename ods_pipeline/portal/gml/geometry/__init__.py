"""Geometries of GML as WKB: their grammar, coordinates and reference systems.

Nothing here knows features, or anything else around a geometry in a document.
"""
