"""The page on configuration says what the model says, and its example can be used."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from ods_pipeline.cli.config_file import Application, Configuration, FilePortal, read_config
from ods_pipeline.dagster.attributes import AssetChoice, PortalAttributes, Watching
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.sync.configuration import DatasetChoice, LayerChoice, TableChoice, Trust
from ods_pipeline.sync.file_choices import CatalogExportChoice, FileChoice
from ods_pipeline.sync.file_keeping import FileLimits

PAGE = Path("docs/configuration.md").read_text()
TABLES: dict[str, type[BaseModel]] = {
    "The file": Configuration,
    "`portals.NAME`": FilePortal,
    "`datasets`": DatasetChoice,
    "`features`": LayerChoice,
    "`attachments` and `files`": FileChoice,
    "`catalog_export`": CatalogExportChoice,
    "`tables.DATASET`": TableChoice,
    "`tables.DATASET.asset` (Dagster)": AssetChoice,
    "`sensor` (Dagster)": Watching,
    "`trust`": Trust,
    "`oauth2`": Application,
}


def rows(model: type[BaseModel], besides: Collection[str] = ()) -> list[str]:
    """The rows of a table of a model's keys, but for some."""
    return [
        f"| `{name}` | {default(field.get_default(call_default_factory=True))} "
        f"| {field.description} |"
        for name, field in model.model_fields.items()
        if name not in besides
    ]


def default(value: object) -> str:
    empty = value in (None, "", [], {}) or isinstance(value, BaseModel)
    unset = "Undefined" in type(value).__name__
    return "" if empty or unset else f"`{value}`".replace("'", '"')


@pytest.mark.parametrize("title", TABLES)
def test_the_page_has_every_key_with_what_the_model_says_of_it(title: str) -> None:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `.*", section, re.MULTILINE) == rows(TABLES[title])


def test_the_page_has_the_keys_that_a_portal_has_in_dagster_alone() -> None:
    section = PAGE.split("## `attributes` (Dagster)\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `.*", section, re.MULTILINE) == rows(
        # Dagster's own, described by Dagster.
        PortalAttributes,
        {*FilePortal.model_fields, "translation"},
    )


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "ods-pipeline.toml"
    file.write_text(example)
    assert set(read_config(file).content.portals) == {"economie", "paris"}


def test_the_yaml_of_the_page_is_a_component() -> None:
    example, files = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    attributes = yaml.safe_load(example)["attributes"]
    component = OpendatasoftPortal.from_attributes_dict(attributes=attributes)
    defs = component.build_defs(None)  # type: ignore[arg-type]
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert specs["bikes/velib"].tags["dataset"] == "velib-disponibilite-en-temps-reel"
    assert specs["bikes/velib"].owners == ["team:mobility"]
    attributes = yaml.safe_load(files)["attributes"]
    component = OpendatasoftPortal.from_attributes_dict(attributes=attributes)
    assert component.files.limits() == FileLimits(20_000_000, "image/*")
    made = component.build_defs(None).resolve_all_asset_specs()  # type: ignore[arg-type]
    assert {"attachments", "files", "catalog_export"} <= {spec.key.path[-1] for spec in made}
