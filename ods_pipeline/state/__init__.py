"""What processes share: locks, and the connection to PostgreSQL where several hosts share them.

What is locked or counted belongs to the rooms above.
"""
