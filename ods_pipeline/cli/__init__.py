"""The command line: what a person types, and what a terminal shows.

Only this room prints. What is done for a dataset is decided in `sync`.
"""
