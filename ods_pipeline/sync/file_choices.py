"""What a block of a configuration is, and the blocks that choose files to keep.

Plain values with their descriptions, for `ods-pipeline.toml` and for Dagster's YAML alike. How a
portal's rows are chosen and trusted does not belong here.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ods_pipeline.sync.file_keeping import FileLimits
from ods_pipeline.sync.selection import Selection


class Configured(BaseModel):
    """A block of a configuration; a key that it does not know is an error."""

    # Errors must not repeat what may be a secret in the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def named(names: list[str]) -> list[str]:
    """The same names, none of which is blank."""
    if not all(name.strip() for name in names):
        raise ValueError("an empty text names nothing")
    return names


class FileChoice(Configured):
    """Of which datasets to keep files, and which files."""

    include: list[str] = Field(
        default=[],
        description="Datasets, or patterns, of those that are kept; the files of none without.",
    )
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")
    media_type: str = Field(
        default="*", description="Only files of these media types, such as `image/*`."
    )
    largest_mb: float = Field(
        default=1_000.0,
        json_schema_extra={"exclusiveMinimum": 0},
        description="Megabytes that a file may have; a larger one is a failure.",
    )

    _all_are_names = field_validator("include", "exclude")(named)

    @field_validator("largest_mb")
    @classmethod
    def _size_is_possible(cls, largest_mb: float) -> float:
        if not largest_mb > 0:
            raise ValueError(f"{largest_mb} megabytes are impossible: give more than 0")
        return largest_mb

    @field_validator("media_type")
    @classmethod
    def _media_type_says_something(cls, media_type: str) -> str:
        if not media_type.strip():
            raise ValueError("it is blank: leave it out for all media types")
        return media_type

    @property
    def selection(self) -> Selection:
        """The datasets, of those that are kept; only asked where some are included."""
        return Selection(tuple(self.include), tuple(self.exclude))

    def has(self, dataset_id: str) -> bool:
        """Whether files of a dataset are kept."""
        return bool(self.include) and self.selection.has(dataset_id)

    def limits(self) -> FileLimits:
        """Which of a dataset's files are kept."""
        return FileLimits(int(self.largest_mb * 1_000_000), self.media_type)


class CatalogExportChoice(Configured):
    """Which exports of the catalog to keep as files."""

    formats: list[str] = Field(
        default=[],
        description="Formats of the portal, such as dcat_ap_de, rdf or csv; none without.",
    )

    _all_are_names = field_validator("formats")(named)
