"""Reads landed partitions for downstream assets, as the type that their annotation names.

Nothing is written here: all data in the lake come from the portal, proven.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.dagster.resources import LakeResource, errors_as_failures
from ods_pipeline.errors import LakeError
from ods_pipeline.lake.lake import Lake
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.schema import pandas_type


class LakeIOManager(dg.ConfigurableIOManager):
    """Hands a landed partition to a downstream asset.

    The annotation of the parameter decides: `pyarrow.Table` (also without one),
    `pyarrow.RecordBatchReader`, which streams, `pandas.DataFrame` or `geopandas.GeoDataFrame`;
    `dict[str, …]` of these gets the landed partitions by their keys.
    """

    lake: LakeResource

    def load_input(self, context: dg.InputContext) -> Any:
        """Read what an upstream asset of this portal has landed.

        Raises:
            dagster.Failure: It has landed nothing, or is not one that lands.
        """
        wanted = context.dagster_type.typing_type
        kind = context.asset_key.path[-1]
        with errors_as_failures():
            if not context.has_asset_partitions:
                return read(landed(self.lake.lake, kind, ""), wanted)
            names = context.asset_partition_keys
            if get_origin(wanted) in (dict, Mapping) or len(names) > 1:
                return self._several(context, kind, names, get_args(wanted)[-1:] or (Any,))
            return read(landed(self.lake.lake, kind, names[0]), wanted)

    def _several(
        self, context: dg.InputContext, kind: str, names: list[str] | Any, wanted: tuple[Any, ...]
    ) -> dict[str, Any]:
        paths = {name: self.lake.lake.partition(kind, name) for name in names}
        missing = [name for name, path in paths.items() if not path.exists()]
        if missing:
            context.log.warning(f"{len(missing)} are left out, not landed yet: {missing[:10]}")
        return {name: read(path, wanted[0]) for name, path in paths.items() if name not in missing}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Refuse to write.

        Raises:
            dagster.Failure: Always.
        """
        raise dg.Failure(
            "the lake holds what comes from the portal alone; give this asset another I/O manager",
            allow_retries=False,
        )


def landed(lake: Lake, kind: str, name: str) -> Path:
    """The file of an asset's partition.

    Raises:
        LakeError: It is not landed yet.
    """
    path = lake.catalog if kind == "catalog" else lake.partition(kind, name)
    if not path.exists():
        raise LakeError(f"{name or kind} is not landed yet; materialize {kind} first", dataset=name)
    return path


def read(path: Path, wanted: Any) -> Any:
    """Read a landed file.

    Args:
        path: The file.
        wanted: The type to read it as; anything unknown is a `pyarrow.Table`.

    Raises:
        LakeError: The dataset has no geometry and a GeoDataFrame is wanted.
    """
    name = getattr(wanted, "__name__", "")
    if name == "RecordBatchReader":
        return stream(path)
    if name == "GeoDataFrame":
        return _with_geometry(path)
    table = pq.read_table(path, partitioning=None)
    return table.to_pandas(types_mapper=pandas_type) if name == "DataFrame" else table


def stream(path: Path) -> pa.RecordBatchReader:
    """A landed file batch by batch, in bounded memory; the file is closed with the last."""
    file = pq.ParquetFile(path)

    def batches() -> Iterator[pa.RecordBatch]:
        with file:
            yield from read_batches(file)

    return pa.RecordBatchReader.from_batches(file.schema_arrow, batches())


def _with_geometry(path: Path) -> Any:
    if b"geo" not in (pq.read_schema(path).metadata or {}):
        raise LakeError(
            "it has no geographic field; annotate the parameter as pandas.DataFrame",
            dataset=path.stem,
        )
    import geopandas

    return geopandas.read_parquet(path, to_pandas_kwargs={"types_mapper": pandas_type})
