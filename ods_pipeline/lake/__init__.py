"""Landed files: their places, their receipts and checksums, and how they are written safely.

No HTTP and no SQL.
"""
