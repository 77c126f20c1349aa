"""Gives downstream assets what is landed or loaded, in the form that their annotation names.

Nothing is written here: all data in the lake come from the portal, proven. The forms are in
`annotations` and `tables`; bringing rows into one belongs to `warehouse`.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from ods_pipeline.dagster.annotations import wanted
from ods_pipeline.dagster.resources import LakeResource, WarehouseResource, errors_as_failures
from ods_pipeline.errors import LakeError, OdsPipelineError, WarehouseError
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.tables.forms import Form
from ods_pipeline.warehouse.frames import from_files
from ods_pipeline.warehouse.names import Style, TableNames

_SHOWN = 10
_KINDS = {"table": "records", "layer": "features"}


class _ReadOnly(dg.ConfigurableIOManager):
    """What lake and warehouse share: partitions that are there are given, and nothing is taken."""

    def load_input(self, context: dg.InputContext) -> Any:
        """Read what an upstream asset of this portal has.

        Raises:
            dagster.Failure: It has nothing yet, or cannot be read as the annotation says.
        """
        about = context.upstream_output.definition_metadata if context.upstream_output else {}
        kind = str(about.get("kind") or context.asset_key.path[-1])
        with errors_as_failures():
            form, by_dataset = wanted(context.dagster_type.typing_type)
            if context.has_asset_partitions:
                names = list(context.asset_partition_keys)
            else:
                # A dataset that is an asset of its own says which it is.
                names = [str(about.get("dataset_id") or kind)]
            found = self.find(kind, names)
            missing = [name for name in names if name not in found]
            if not found:
                raise self.nothing(kind, missing)
            if missing:
                context.log.warning(
                    f"{len(missing)} are left out, not there yet: {missing[:_SHOWN]}"
                )
            if by_dataset:
                return {name: self.read({name: one}, form) for name, one in found.items()}
            return self.read(found, form)

    @abstractmethod
    def find(self, kind: str, names: Iterable[str]) -> Mapping[str, Any]:
        """Where the partitions of an asset are, those that are there."""

    @abstractmethod
    def read(self, found: Mapping[str, Any], form: Form) -> Any:
        """The rows of some partitions."""

    @abstractmethod
    def nothing(self, kind: str, names: Sequence[str]) -> OdsPipelineError:
        """The error where none of the partitions is there."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Refuse to write.

        Raises:
            dagster.Failure: Always.
        """
        raise dg.Failure(
            "lake and warehouse hold what comes from the portal alone; give this asset another "
            "I/O manager",
            allow_retries=False,
        )


class LakeIOManager(_ReadOnly):
    """Hands landed partitions, or the catalog, to a downstream asset.

    The annotation of the parameter decides the form: `annotations.Form`. Several partitions are
    put one after the other; `dict[str, …]` gets them by their keys.
    """

    lake: LakeResource

    def find(self, kind: str, names: Iterable[str]) -> Mapping[str, LakePath]:
        """The landed files."""
        lake = self.lake.lake
        paths = {
            name: lake.catalog if kind == "catalog" else lake.partition(kind, name)
            for name in names
        }
        return {name: path for name, path in paths.items() if path.exists()}

    def read(self, found: Mapping[str, LakePath], form: Form) -> Any:
        """The rows of some files."""
        return from_files(found, form)

    def nothing(self, kind: str, names: Sequence[str]) -> OdsPipelineError:
        """Say that nothing is landed."""
        return LakeError(_nothing(kind, names, "landed"), dataset=_only(names))


class WarehouseIOManager(_ReadOnly):
    """Hands tables of the warehouse to a downstream asset, like `LakeIOManager`.

    While a relation, a reader or a `LazyFrame` of a DuckDB table is alive, nothing can be loaded.
    """

    warehouse: WarehouseResource
    tables_in: str = Field(description="Schema of the portal's tables.")
    table_names: Style = Field(default="as_is", description="How tables are named.")
    names: dict[str, str] = Field(default={}, description="Names of single datasets' tables.")

    def find(self, kind: str, names: Iterable[str]) -> Mapping[str, str]:
        """The tables in the warehouse."""
        called = self.warehouse.names_in(TableNames(self.tables_in, self.table_names, self.names))
        # An asset of its own says its kind, a partition's asset is named for what it holds.
        kind = _KINDS.get(kind, kind)
        tables = {name: called.table_of(name, kind) for name in names}
        there = self.warehouse.tables_of(self.tables_in)
        return {name: table for name, table in tables.items() if table in there}

    def read(self, found: Mapping[str, str], form: Form) -> Any:
        """The rows of some tables."""
        return self.warehouse.rows_of(self.tables_in, found, form)

    def nothing(self, kind: str, names: Sequence[str]) -> OdsPipelineError:
        """Say that nothing is loaded."""
        return WarehouseError(_nothing(kind, names, "loaded"), dataset=_only(names))


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _nothing(kind: str, names: Sequence[str], done: str) -> str:
    if only := _only(names):
        return f"{only} is not {done} yet; materialize {kind} first"
    return f"nothing of {kind} is {done} yet; materialize {kind} first"
