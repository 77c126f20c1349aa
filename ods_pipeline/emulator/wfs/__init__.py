"""The portal's WFS, 1.1.0 and 2.0.0, written from the documents alone.

Where these leave a choice, it takes the one that is harder to read. The Explore API is elsewhere.
"""
