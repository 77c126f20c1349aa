"""Landed files: their places, their receipts and checksums, and how they are written safely.

What public signatures mention of them can be imported from here. No HTTP and no SQL.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ods_pipeline.lake.lake import PartitionKind
    from ods_pipeline.lake.landed import LandedDataset, LandedDatasets
    from ods_pipeline.lake.receipt import Receipt

_HOMES = {
    "LandedDataset": "landed",
    "LandedDatasets": "landed",
    "PartitionKind": "lake",
    "Receipt": "receipt",
}

__all__ = ["LandedDataset", "LandedDatasets", "PartitionKind", "Receipt"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
