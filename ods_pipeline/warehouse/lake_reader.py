"""`Lake`: what has landed, for people who write Python, in the form of rows that they like.

Nothing is asked of a portal or of the warehouse's tables. One portal's folder, with its locks and
names, is what `lake` calls a lake; finding datasets in it belongs there too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake import landed
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.files import require_files
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.lake.landed import LandedDataset, LandedDatasets
from ods_pipeline.markup import card, facts
from ods_pipeline.tables.forms import Form
from ods_pipeline.tables.schema import with_geoarrow
from ods_pipeline.warehouse.frames import from_files

if TYPE_CHECKING:
    import duckdb
    import geopandas
    import pandas
    import polars


class Lake:
    """A data folder, read without a network.

    Examples:
        >>> lake = Lake("data")  # doctest: +SKIP
        >>> lake.datasets()  # doctest: +SKIP
        >>> lake.geopandas("public-art").plot()  # doctest: +SKIP
    """

    def __init__(self, data_dir: str | Path = "data", portal: str = "") -> None:
        """Read from a data folder; nothing is opened yet.

        Args:
            data_dir: The folder that `sync` lands in, or an address in a bucket.
            portal: Whose datasets are meant where several portals have landed: an address, or one
                of `portals`.

        Raises:
            ConfigurationError: The folder cannot be used.
        """
        self.data_dir = data_folder(str(data_dir))
        self.portal = portal

    def __repr__(self) -> str:
        """The folder, and the portal if one was named."""
        named = f", {self.portal!r}" if self.portal else ""
        return f"Lake({str(self.data_dir)!r}{named})"

    def _repr_html_(self) -> str:
        counted = {
            name: f"{len(landed.landed(self.data_dir, name)):,} landed" for name in self.portals()
        }
        return card(repr(self), facts(counted))

    def portals(self) -> list[str]:
        """The portals of which something has landed, by their names on disk."""
        return landed.portals(self.data_dir)

    def datasets(self, portal: str = "") -> LandedDatasets:
        """What has landed, of all portals unless one is named here or was before.

        Args:
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: Nothing of this portal has landed.
        """
        name = self._named(portal)
        return landed.landed(self.data_dir, landed.chosen(self.data_dir, name) if name else "")

    def dataset(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> LandedDataset:
        """What has landed of a dataset: its title, rows, date, proof and file.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant, as it came through WFS, instead of its records.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed; or it is not clear of which portal.
            LakeError: Its file is damaged.
        """
        kind: PartitionKind = "features" if features else "records"
        return landed.partition(self.data_dir, dataset_id, kind, self._named(portal))

    def table(self, dataset_id: str, *, features: bool = False, portal: str = "") -> pa.Table:
        """All rows, as landed: geometries are WKB and say so in the terms of GeoArrow.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed; or it is not clear of which portal.
            LakeError: Its file is damaged.
        """
        table = self._read(Form.TABLE, dataset_id, features, portal)
        return table.cast(with_geoarrow(table.schema))

    def batches(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> pa.RecordBatchReader:
        """The same in batches, in little memory.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed; or it is not clear of which portal.
            LakeError: Its file is damaged.
        """
        reader = self._read(Form.READER, dataset_id, features, portal)
        return reader.cast(with_geoarrow(reader.schema))

    def pandas(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> pandas.DataFrame:
        """All rows; integers and booleans beside nulls stay what they are, geometries are WKB.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed; or it is not clear of which portal.
            LakeError: Its file is damaged.
        """
        return self._read(Form.PANDAS, dataset_id, features, portal)

    def geopandas(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> geopandas.GeoDataFrame:
        """All rows, geometries with their reference system; a shape is active before a point.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed, or has no geographic field; or it is not clear of
                which portal.
            LakeError: Its file is damaged.
        """
        return self._read(Form.GEOPANDAS, dataset_id, features, portal)

    def polars(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> polars.DataFrame:
        """All rows; geometries are WKB.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed, or polars is not installed; or it is not clear of
                which portal.
            LakeError: Its file is damaged.
        """
        rows: polars.DataFrame = self._read(Form.POLARS, dataset_id, features, portal)
        return rows

    def relation(
        self, dataset_id: str, *, features: bool = False, portal: str = ""
    ) -> duckdb.DuckDBPyRelation:
        """The file as a relation of DuckDB, which reads what a query needs, when it is asked.

        Columns are named and typed as in the warehouse: geometries are `GEOMETRY`.

        Args:
            dataset_id: Identifier of the dataset.
            features: Whether its layer is meant.
            portal: An address, or one of `portals`.

        Raises:
            ConfigurationError: It has not landed; or it is not clear of which portal.
            LakeError: Its file is damaged.
        """
        rows: duckdb.DuckDBPyRelation = self._read(Form.RELATION, dataset_id, features, portal)
        return rows

    def _read(self, form: Form, dataset_id: str, features: bool, portal: str) -> Any:
        found = self.dataset(dataset_id, features=features, portal=portal)
        try:
            return from_files({dataset_id: found.path}, form)
        except (OSError, pa.ArrowException) as error:
            require_files(error)
            raise LakeError(
                f"{found.path} cannot be read ({error}); delete it and sync {dataset_id} again",
                dataset=dataset_id,
            ) from error

    def _named(self, portal: str) -> str:
        """The name on disk of a portal that was named here, else at the beginning."""
        name = portal or self.portal
        if not name or name in self.portals():
            return name
        from ods_pipeline.portal.http.address import Address

        try:
            return Address.parse(name).slug
        except ConfigurationError:
            return name  # None of these has landed, which is what there is to say.
