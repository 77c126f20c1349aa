"""Features of geographic datasets: read through WFS, in batches of Arrow.

The protocol is in `wfs`, the format in `gml`.
"""
