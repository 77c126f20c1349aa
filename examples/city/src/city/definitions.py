"""What Dagster loads: all that is in `defs`, as `create-dagster` lays it out."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The whole project."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
