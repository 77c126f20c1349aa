"""The catalog: the datasets that a portal lists, and what it speaks if it lists none.

Nothing here reads records.
"""
