"""Shapes: what a dataset looks like as Arrow, where its partition lives, whether it is out of date.

Nothing in this folder speaks HTTP, SQL or Dagster.
"""
