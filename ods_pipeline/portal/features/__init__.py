"""Reads the features of geographic datasets through WFS, as typed Arrow batches.

Nothing here knows the protocol (`portal/wfs`) or the format (`portal/gml`).
"""
