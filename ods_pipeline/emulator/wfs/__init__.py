"""The portal's WFS, 1.1.0 and 2.0.0, written from the documents; the Explore API is elsewhere.

It shares no code with the reader, and where the documents are silent it does what is awkward.
"""
