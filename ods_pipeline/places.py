"""Where things are: portal, data folder and warehouse, as the user gave them or by default.

The command line takes them from options and environment; Dagster's resources carry the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ods_pipeline.errors import ConfigurationError


@dataclass(frozen=True)
class Places:
    """The places of one run.

    Attributes:
        portal: Domain or URL; empty for the sample portal.
        data_dir: Root of lake, warehouse and tokens.
        warehouse: URL of the warehouse.
    """

    portal: str
    data_dir: Path
    warehouse: str

    @classmethod
    def of(cls, portal: str | None, data_dir: str | None, warehouse: str | None) -> Places:
        """Complete what the user gave with the defaults.

        Raises:
            ConfigurationError: The data folder is an address of an object store.
        """
        folder = data_dir or "data"
        if "://" in folder:
            raise ConfigurationError(
                f"{folder} is an object store, which this version cannot land into; "
                "set ODS_DATA_DIR to a folder"
            )
        path = Path(folder).expanduser()
        return cls(portal or "", path, warehouse or f"duckdb:///{path / 'warehouse.duckdb'}")
