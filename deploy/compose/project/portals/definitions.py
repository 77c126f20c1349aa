"""What the code server loads: every portal that has a folder in `defs`, and nothing else."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All portals."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
