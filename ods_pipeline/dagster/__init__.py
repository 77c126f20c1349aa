"""Dagster: the component, its assets, checks, sensors, jobs and resources.

Only this room imports Dagster. What is done for a dataset is decided in `sync`.
"""
