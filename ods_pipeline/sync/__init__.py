"""The engine: decides what a dataset needs, updates its partition, and loads its table.

The command line and Dagster both drive it. Nothing here prints or imports Dagster.
"""
