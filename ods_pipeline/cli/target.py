"""What a command works on: portal, data folder and warehouse, as the user gave them or by default.

Nothing is opened or connected to here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ods_pipeline.cli.credentials import Access
from ods_pipeline.lake.files import data_folder
from ods_pipeline.warehouse.opening import default_url

_NONE = Access()


@dataclass(frozen=True)
class Target:
    """What a command works on.

    Attributes:
        portal: Domain or URL; empty for the sample portal.
        data_dir: Root of lake, warehouse and tokens.
        warehouse: URL of the warehouse.
        access: Credentials for the portal.
    """

    portal: str
    data_dir: Path
    warehouse: str
    access: Access = _NONE

    @classmethod
    def of(
        cls,
        portal: str | None,
        data_dir: str | None,
        warehouse: str | None,
        access: Access = _NONE,
    ) -> Target:
        """Complete what the user gave with the defaults.

        Raises:
            ConfigurationError: The data folder cannot be used.
        """
        path = data_folder(data_dir)
        return cls(portal or "", path, warehouse or default_url(path), access)
