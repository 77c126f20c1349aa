"""The root of lake and warehouse, as a setting names it: a folder, or an address in a bucket.

What is kept there does not belong here.
"""

from __future__ import annotations

from pathlib import Path

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.files import absolute, is_text, readable
from ods_pipeline.lake.object_store import checked


def data_folder(given: str | None) -> LakePath:
    """The root of lake and warehouse.

    Args:
        given: A folder, or an address in a bucket; `data` without it.

    Raises:
        ConfigurationError: It is no address that could be used, in the home of an unknown user, or
            no text.
    """
    folder = given or "data"
    _require_text(folder)
    if "://" in folder:
        return ObjectPath(checked(folder))
    try:
        found = Path(folder).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{folder} is in the home of a user that this machine does not know; "
            "set ODS_DATA_DIR to another folder"
        ) from None
    # With the home, or with the folder that this process is in.
    _require_text(absolute(found))
    return found


def _require_text(folder: str) -> None:
    if not is_text(folder):
        raise ConfigurationError(
            f"the data folder {readable(folder)} has a name that is not UTF-8, or a NUL in it; "
            "set ODS_DATA_DIR to another folder"
        )
