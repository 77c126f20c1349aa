"""Landed files: where they are, what makes them valid, and how they are written safely.

Nothing here speaks HTTP or SQL.
"""
