"""A first block of YAML that teaches the rest: what `dg scaffold defs` writes for a portal."""

from __future__ import annotations

import re
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address

_BLOCK = """\
type: {type}

attributes:
  # Domain or URL of the portal.
  portal: {portal}
  # Prefix of the assets; another one for each portal of the code location.
  name: {name}

  # All datasets that hold records, without this.
  # datasets:
  #   include: ["velib-*"]
  #   exclude: ["*-archive"]
  #   where: "publisher = 'City'"

  # Geographic datasets that are read through WFS as well.
  # features:
  #   include: ["*-stations"]

  # Datasets that are assets of their own, with what is decided for each. Where `datasets` is not
  # given, they are all that is taken.
  # tables:
  #   velib-disponibilite-en-temps-reel:
  #     where: "capacity > 0"
  #     select: [stationcode, name, capacity]
  #     types: {{stationcode: text}}
  #     asset: {{owners: ["team:data"], freshness: 24}}

  # An API key is only named; the variable is set where Dagster runs.
  # api_key: {{env: ODS_API_KEY}}

  # The sensor that watches the catalog, and the automation that follows it, start switched off.
  # sensor: {{running: true}}
"""


class PortalParams(BaseModel):
    """What can be said on the command line of `dg scaffold`."""

    portal: str = Field(
        default="", description="Domain or URL of the portal; the sample portal's without it."
    )


class PortalScaffolder(dg.Scaffolder[PortalParams]):
    """Writes a block of YAML for a portal, with comments."""

    @classmethod
    def get_scaffold_params(cls) -> type[PortalParams]:
        """The options of the command."""
        return PortalParams

    def scaffold(self, request: dg.ScaffoldRequest[PortalParams]) -> None:
        """Write the block into the folder that was asked for.

        Raises:
            ConfigurationError: The portal is no address, or Python was asked for.
        """
        if request.scaffold_format != "yaml":
            raise ConfigurationError(
                "a portal is scaffolded as YAML; in Python write "
                "`build_defs_for_component(OpendatasoftPortal(portal=…))`"
            )
        portal = request.params.portal if request.params else ""
        if portal:
            Address.parse(portal)
        path = request.target_path if request.append else request.target_path / "defs.yaml"
        block = _BLOCK.format(
            type=request.type_name,
            portal=portal or '""  # the sample portal, until there is an address here',
            name=_name(path.parent.name, portal, again=request.append),
        )
        with path.open("a" if request.append else "w", encoding="utf-8") as file:
            file.write(f"---\n{block}" if request.append else block)


def _name(folder: str, portal: str, *, again: bool) -> str:
    """A name that no other block has: the folder's, or for a further block in it the portal's."""
    text: Any = Address.parse(portal).slug if again and portal else folder
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
    return name or "portal"
