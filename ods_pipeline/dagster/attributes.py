"""What a Dagster user configures: a portal's attributes in YAML, and a run in the launchpad.

Plain values with their descriptions. What follows from them is decided in `settings` and in `sync`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_origin

import dagster as dg
from dagster.components.utils.translation import TranslationFnResolver
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from pydantic.fields import FieldInfo

from ods_pipeline.dagster.credentials import ApiKeyAttribute, OAuth2Attribute
from ods_pipeline.sync.configuration import (
    PortalConfiguration,
    TableChoice,
    schema_is_a_field,
)
from ods_pipeline.sync.file_choices import Configured
from ods_pipeline.sync.options import Mode

Translation = Annotated[
    Callable[[dg.AssetSpec, Any], dg.AssetSpec] | None,
    TranslationFnResolver[Any](lambda table: {"table": table}),
]


class Watching(Configured):
    """How often the portal is looked at."""

    minimum_interval_seconds: int = Field(
        default=0,
        json_schema_extra={"minimum": 0},
        description="Seconds between two looks at the catalog; each is one request. "
        "Without it 1800, or 30 for the sample portal.",
    )
    running: bool = Field(
        default=False, description="Whether the sensors start switched on, without a click."
    )


class AssetChoice(Configured):
    """How a dataset under `tables` is shown in Dagster, where not as usual."""

    key: str = Field(
        default="",
        description="Key of the asset, with `/` between its parts; by default the portal's name "
        "and the dataset's identifier.",
    )
    group_name: str = Field(default="", description="Group of the asset; else the portal's.")
    owners: list[str] = Field(
        default=[], description="Owners: e-mail addresses, or teams as `team:data`."
    )
    tags: dict[str, str] = Field(default={}, description="Tags of the asset.")
    kinds: list[str] = Field(
        default=[], description="Kinds, drawn as icons; else parquet, and the warehouse's."
    )
    description: str = Field(
        default="", description="Description; by default the portal's title and text."
    )
    deps: list[str] = Field(
        default=[], description="Keys of further assets that it depends on, with `/` in them."
    )
    automation_condition: Any = Field(
        default=None,
        description="When it runs, such as `{{ dg.AutomationCondition.on_cron('@daily') }}`; by "
        "default when the portal declares another version.",
    )
    freshness: int | None = Field(
        default=None, description="Hours after which the asset counts as out of date."
    )

    @field_validator("freshness")
    @classmethod
    def _hours_are_possible(cls, hours: int | None) -> int | None:
        if hours is not None and hours < 1:
            raise ValueError(f"{hours} hours are impossible: give 1 or more")
        return hours

    @field_validator("automation_condition")
    @classmethod
    def _is_a_condition(cls, given: Any) -> Any:
        # Before it is filled in, a template is a text.
        template = isinstance(given, str) and "{{" in given
        if given is not None and not template and not isinstance(given, dg.AutomationCondition):
            raise ValueError('write a template, such as "{{ dg.AutomationCondition.eager() }}"')
        return given


class AssetTableChoice(TableChoice):
    """What is decided for one dataset, and how it is shown as an asset of its own."""

    asset: AssetChoice = Field(
        default=AssetChoice(), description="How the dataset is shown in Dagster."
    )


class PortalAttributes(PortalConfiguration, dg.Resolvable):
    """The attributes of a portal, in YAML or in Python."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Carry descriptions and blocks into the schema of YAML, where Dagster would lose them."""
        for field in cls.model_fields.values():
            if not any(isinstance(item, dg.Resolver) for item in field.metadata):
                field.metadata.append(_resolver(field))

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The model of its YAML."""
        with schema_is_a_field():
            return super().model()

    name: str = Field(
        default="", description="Prefix in Dagster; without it the portal's host, with `_`."
    )
    datasets_per_run: int = Field(
        default=100, gt=0, description="Datasets that share a run, whose start costs seconds."
    )
    data_dir: str = Field(
        default="", description="Root of the lake; without it ODS_DATA_DIR, else `data`."
    )
    warehouse: str = Field(
        default="",
        description="`duckdb:///PATH`, `postgresql://…` without a password, or `iceberg:NAME`; "
        "without it ODS_WAREHOUSE, else in the data root.",
    )
    state: str = Field(
        default="",
        description="What processes of several hosts share, `postgresql://…` without a password; "
        "without it ODS_STATE, else local files.",
    )
    shared_files: bool = Field(
        default=False,
        description="Whether all hosts have the same folders, on a file system with locks; only "
        "for runs on several hosts.",
    )
    group_name: str = Field(default="", description="Group of the assets; without it the name.")
    catalog_hours: int = Field(
        default=24, gt=0, description="Age in hours at which the catalog counts as out of date."
    )
    schedule: str = Field(
        default="", description="Cron of the job, for those who prefer a clock to the sensor."
    )
    tables: Mapping[str, AssetTableChoice] = Field(
        default={},
        description="Datasets that are assets of their own, by identifier, with what is decided "
        "for each. These are always kept; where `datasets` is not given, they are all that is.",
    )
    translation: Translation = None
    sensor: Watching = Field(default=Watching(), description="How the portal is watched.")
    api_key: ApiKeyAttribute = None
    oauth2: OAuth2Attribute = None


def _resolver(field: FieldInfo) -> dg.Resolver:
    """How a field is read from YAML: with its description, and templates filled in at any depth."""
    shape: Any = field.annotation
    if shape in (str, int, bool) or get_origin(shape) is Literal:
        plain: dg.Resolver = dg.Resolver.default(description=field.description)
        return plain
    kind: TypeAdapter[Any] = TypeAdapter(shape)

    def resolved(context: dg.ResolutionContext, given: Any) -> Any:
        plain = given if isinstance(given, str) else kind.dump_python(given, exclude_unset=True)
        return kind.validate_python(context.resolve_value(plain))

    return dg.Resolver(resolved, model_field_type=shape, description=field.description)


class Acceptance(dg.Config):
    """Run configuration: whether a person accepts what is held."""

    accept: bool = Field(
        default=False,
        description="Accept what is held, such as a table that shrank or changed its fields: "
        "you have looked at it.",
    )


class RunConfig(Acceptance):
    """Run configuration: fetch what changed, fetch everything, or only compare."""

    mode: Mode = Field(
        default=Mode.incremental,
        description="Fetch what changed, fetch everything, or fetch and compare and land nothing.",
    )


class SyncConfig(RunConfig):
    """Run configuration of the job: the mode, and the datasets to look at; all without names."""

    datasets: list[str] = Field(default=[])
