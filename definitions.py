"""What Dagster loads: every portal declared in a folder of `ods_pipeline/defs`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All portals of this project."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
