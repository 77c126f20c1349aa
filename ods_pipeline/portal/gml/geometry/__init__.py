"""Geometries of GML: their grammar, coordinates and reference systems, as WKB.

What is around a geometry in a document is read in the folder above.
"""
