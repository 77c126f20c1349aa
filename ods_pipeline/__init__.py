"""Keep a warehouse in step with an Opendatasoft portal, and trust what is in it.

The public names; each is imported when it is first used, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ods_pipeline.dagster.automation import refresh_on_change
    from ods_pipeline.dagster.component import OpendatasoftPortal
    from ods_pipeline.dataset import Dataset, Field
    from ods_pipeline.portal.auth import ApiKey, OAuth2
    from ods_pipeline.portal.gml import read_gml
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.warehouse.lake_reader import Lake

    __version__: str

_HOMES = {
    "ApiKey": "ods_pipeline.portal.auth",
    "Dataset": "ods_pipeline.dataset",
    "Field": "ods_pipeline.dataset",
    "Lake": "ods_pipeline.warehouse.lake_reader",
    "OAuth2": "ods_pipeline.portal.auth",
    "OpendatasoftPortal": "ods_pipeline.dagster.component",
    "Portal": "ods_pipeline.portal.portal",
    "refresh_on_change": "ods_pipeline.dagster.automation",
    "read_gml": "ods_pipeline.portal.gml",
}

__all__ = [
    "ApiKey",
    "Dataset",
    "Field",
    "Lake",
    "OAuth2",
    "OpendatasoftPortal",
    "Portal",
    "read_gml",
    "refresh_on_change",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Most who import this do not ask for it, and reading it takes twice as long as the rest.
        from importlib.metadata import version

        return version("ods-pipeline")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Portal":
        # Who takes it from here sits at a terminal or a notebook; our own runs do not.
        from ods_pipeline.portal import progress

        progress.show_with(_watched)
    return getattr(import_module(_HOMES[name]), name)


def _watched(label: str) -> AbstractContextManager[Callable[[int], object]]:
    from ods_pipeline.cli.watching import watched

    return watched(label)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "__version__"])
