"""A portal as a component: one block of YAML, or one call in Python.

Its attributes are in `attributes`, the definitions made of them in `build`.
"""

import dagster as dg

from ods_pipeline.dagster.attributes import PortalAttributes
from ods_pipeline.dagster.build import build_defs
from ods_pipeline.dagster.dataset_assets import DatasetTable
from ods_pipeline.dagster.scaffolding import PortalScaffolder
from ods_pipeline.dagster.settings import Settings, settings_of


@dg.scaffold_with(PortalScaffolder)
class OpendatasoftPortal(dg.Component, PortalAttributes):
    """Keeps a lake and a warehouse in step with an Opendatasoft portal.

    Makes the assets `dataset`, `catalog`, `records` and `table` under the portal's name, with
    `features` and `layer` where layers are chosen, `attachments`, `files` and `catalog_export`
    where files are, a sensor that reports what changed, automation that runs it, and a job that
    lands and loads all of it at once.
    """

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The portal's definitions."""
        return build_defs(self.settings(), self.get_asset_spec)

    def get_asset_spec(self, table: DatasetTable) -> dg.AssetSpec:
        """How a dataset under `tables` is shown; to be overridden by a subclass.

        Args:
            table: The dataset, with `spec`, the asset as it is by default.
        """
        return self.translation(table.spec, table) if self.translation else table.spec

    @property
    def partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition per dataset: for assets of your own, downstream of `records` or `table`."""
        return self.settings().partitions

    @property
    def layer_partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition per layer: for assets of your own, downstream of `features` or `layer`."""
        return self.settings().layer_partitions

    def settings(self) -> Settings:
        """The attributes, checked and completed.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        return settings_of(self)
