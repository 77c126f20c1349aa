"""The portal: HTTP to the Explore API, and its replies as Arrow tables of the declared types.

Nothing in this folder knows the lake's files, the warehouse or Dagster.
"""
