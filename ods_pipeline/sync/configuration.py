"""What a user configures of portals: one model for `ods-pipeline.toml` and for Dagster's YAML.

Every field says what it is for, and these descriptions are what schemas, help and pages show. Files
and YAML are read in `cli` and `dagster`; what follows from the values is decided elsewhere in
`sync`. Only those who configure something pay for importing this: pydantic is slow to load.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.query import LANGUAGES
from ods_pipeline.sync.file_choices import CatalogExportChoice, Configured, FileChoice, named
from ods_pipeline.sync.options import Options
from ods_pipeline.sync.rules import (
    DEFAULT,
    LONGEST_TRUST,
    BadValues,
    Rules,
    TableRules,
    is_percentage,
)
from ods_pipeline.sync.selection import Selection, is_pattern
from ods_pipeline.warehouse.names import (
    Style,
    TableNames,
    folded,
    schema_problem,
    table_problem,
)
from ods_pipeline.warehouse.protocol import Contract

# For editors alone: Dagster takes no constraints in the annotations of a block.
_PERCENT: dict[str, Any] = {"minimum": 0, "maximum": 100}


def name_problem(name: str) -> str:
    """Why a portal cannot have a name; empty if it can."""
    plain = name.isascii() and name.replace("_", "a").isalnum()
    return "" if plain else f"the name {name!r} has other characters than letters, digits, _"


def _percentage(value: float | None) -> float | None:
    if value is not None and not is_percentage(value):
        raise ValueError(f"{value} is no percentage: give 0 to 100")
    return value


class DatasetChoice(Configured):
    """Which datasets to keep: identifiers, or patterns with `*`, `?` and `[…]`."""

    include: list[str] = Field(
        default=["*"],
        description="Datasets to keep. Without it all of the portal, or those under `tables` where "
        "there are some.",
    )
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")
    where: str = Field(
        default="",
        description="ODSQL filter of the catalog, such as `publisher = 'SNCF'`; only what passes "
        "it is kept.",
    )

    _all_are_names = field_validator("include", "exclude")(named)

    @field_validator("include")
    @classmethod
    def _includes_some(cls, include: list[str]) -> list[str]:
        if not include:
            raise ValueError("an empty list includes nothing: leave it out for all datasets")
        return include


class LayerChoice(Configured):
    """Which geographic datasets to read through WFS as well: identifiers, or patterns."""

    include: list[str] = Field(default=[], description="Geographic datasets to read; none without.")
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")
    version: Literal["1.1.0", "2.0.0"] = Field(
        default="1.1.0",
        description="Version of WFS; 2.0.0 can split a layer that comes in part.",
    )
    axis_order: Literal["auto", "latlon", "lonlat"] = Field(
        default="auto",
        description="Order of coordinates where the srsName leaves it open; auto decides.",
    )


class TableChoice(Configured):
    """What is decided for one dataset."""

    where: str = Field(
        default="",
        description="ODSQL filter of its records, such as `year >= 2020`; another filter fetches "
        "the dataset again.",
    )
    select: list[str] = Field(default=[], description="Fields to read; all without it.")
    lang: str = Field(
        default="", description="Language of texts in `where` that depend on one, such as `fr`."
    )
    timezone: str = Field(
        default="",
        description="Time zone of date functions in `where`, such as `Europe/Paris`; landed "
        "moments stay UTC.",
    )
    types: dict[str, str] = Field(
        default={},
        description="Types to read fields as instead of the declared ones: name of the field to "
        "text, int, double, date, datetime, boolean, geo_point_2d, geo_shape, file or json_blob.",
    )
    bad_values: BadValues = Field(
        default="refuse",
        description="Values that are not of their field's type: refuse refuses the dataset, null "
        "lands the others and keeps these in a file beside the partition.",
    )
    contract: Contract | None = Field(
        default=None, description="As `trust: schema_contract`, for this dataset."
    )
    drift: float | None = Field(
        default=None,
        description="As `trust: drift`, for this dataset.",
        json_schema_extra=_PERCENT,
    )

    table: str = Field(
        default="",
        description="Name of its table in the warehouse, that of features with `__features` after "
        "it; another name renames the table.",
    )

    _drift_is_possible = field_validator("drift")(_percentage)
    _fields_are_named = field_validator("select")(named)

    @field_validator("where")
    @classmethod
    def _where_says_something(cls, where: str) -> str:
        if where and not where.strip():
            raise ValueError("it is blank: leave it out for all records")
        return where

    @field_validator("types")
    @classmethod
    def _types_are_known(cls, types: dict[str, str]) -> dict[str, str]:
        try:
            TableRules(types=types)
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return types

    @field_validator("lang")
    @classmethod
    def _lang_is_the_apis(cls, lang: str) -> str:
        if lang and lang not in LANGUAGES:
            raise ValueError(f"the API has no language {lang!r}: {', '.join(LANGUAGES)}")
        return lang

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            _ = ZoneInfo(timezone or "UTC")
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"there is no time zone {timezone!r}, such as Europe/Paris") from None
        return timezone

    @field_validator("table")
    @classmethod
    def _table_is_possible(cls, table: str) -> str:
        if table and (problem := table_problem(table)):
            raise ValueError(problem)
        return table

    def rules(self) -> TableRules:
        """The same as the engine has it."""
        return TableRules(
            self.bad_values,
            self.types,
            self.drift,
            self.where,
            tuple(dict.fromkeys(self.select)),
            self.lang,
            self.timezone,
        )


class Trust(Configured):
    """How long and how far the portal is trusted, and which changes of fields are followed."""

    max_trust_days: int = Field(
        default=DEFAULT.trust_days,
        json_schema_extra={"minimum": 0},
        description="Days after which a dataset whose date never moves is compared by its content; "
        "0 compares every day.",
    )
    max_shrink: float = Field(
        default=DEFAULT.shrink,
        json_schema_extra=_PERCENT,
        description="Percent of its rows that a dataset may lose at once; beyond that the old rows "
        "stay until a person accepts the new ones.",
    )
    drift: float = Field(
        default=DEFAULT.drift,
        json_schema_extra=_PERCENT,
        description="Percent by which a dataset that is republished while it is read may differ "
        "from the portal's count; 0 accepts none.",
    )
    schema_contract: Contract = Field(
        default="evolve",
        description="When fields are added, removed or retyped: evolve lets the table follow, "
        "freeze fetches nothing, quarantine lands the data and leaves the table.",
    )
    schema_exceptions: dict[str, Contract] = Field(
        default={},
        description="The same for some datasets: identifier, or pattern with `*` and `?`, to "
        "contract; the last that matches counts.",
    )

    _percentages_are_possible = field_validator("max_shrink", "drift")(_percentage)

    @field_validator("max_trust_days")
    @classmethod
    def _days_are_possible(cls, days: int) -> int:
        if not 0 <= days <= LONGEST_TRUST:
            raise ValueError(f"{days} days are impossible: give 0 to {LONGEST_TRUST}")
        return days


@contextmanager
def schema_is_a_field() -> Iterator[None]:
    """Let a model have a field `schema`: pydantic had a method of that name, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", 'Field name "schema" in ".*" shadows')
        yield


with schema_is_a_field():

    class _Places(Configured):
        portal: str = Field(
            default="", description="Domain or URL; without it ODS_PORTAL's, else the emulator's."
        )
        schema: str = Field(  # type: ignore[assignment]
            default="",
            description="Schema of its tables in the warehouse; without it the portal's host, with "
            "`_`. Another one is filled from what is landed, and the old one stays.",
        )
        table_names: Style = Field(
            default="as_is",
            description="How tables are named after datasets: as_is, or snake for names that SQL "
            "takes without quotes (prix-des-carburants is prix_des_carburants).",
        )


class PortalConfiguration(_Places):
    """One portal: where it is, what to keep of it, and how far it is trusted."""

    datasets: DatasetChoice = Field(default=DatasetChoice(), description="Which datasets to keep.")
    features: LayerChoice = Field(
        default=LayerChoice(), description="Which geographic datasets to read through WFS as well."
    )
    attachments: FileChoice = Field(
        default=FileChoice(),
        description="Of which datasets Dagster keeps attachments and alternative exports as files; "
        "`ods-pipeline attachments` takes types and size from here.",
    )
    files: FileChoice = Field(
        default=FileChoice(),
        description="The same for the files that records point to, such as photographs.",
    )
    catalog_export: CatalogExportChoice = Field(
        default=CatalogExportChoice(),
        description="Which exports of the catalog Dagster keeps as files.",
    )
    format: Literal["parquet", "csv"] = Field(
        default="parquet", description="Export to read first."
    )
    trust: Trust = Field(
        default=Trust(), description="How far the portal is trusted without asking a person."
    )
    tables: Mapping[str, TableChoice] = Field(
        default={},
        description="What is decided for single datasets, by identifier. These are always kept; "
        "where `datasets` is not given, they are all that is kept.",
    )
    api_key_in_query: bool = Field(
        default=False, description="Send the key in the URL, for proxies that lose its header."
    )

    @field_validator("tables")
    @classmethod
    def _tables_are_named(cls, tables: Mapping[str, TableChoice]) -> Mapping[str, TableChoice]:
        for name in named([*tables]):
            if is_pattern(name):
                raise ValueError(f"{name!r} is a pattern, and decisions are for single datasets")
        return tables

    @field_validator("schema")
    @classmethod
    def _schema_is_possible(cls, schema: str) -> str:
        if schema and (problem := schema_problem(schema)):
            raise ValueError(problem)
        return schema

    @field_validator("tables")
    @classmethod
    def _tables_differ(cls, tables: Mapping[str, TableChoice]) -> Mapping[str, TableChoice]:
        named: dict[str, str] = {}
        for name, choice in tables.items():
            other = named.setdefault(folded(choice.table), name) if choice.table else name
            if other != name:
                raise ValueError(f"{other} and {name} would both be the table {choice.table}")
        return tables

    def names(self) -> TableNames:
        """What its schema and tables are called in the warehouse."""
        tables = {name: item.table for name, item in self.tables.items() if item.table}
        return TableNames(self.schema, self.table_names, tables)

    @property
    def selection(self) -> Selection:
        """The datasets to keep."""
        given = "datasets" in self.model_fields_set
        names = tuple(self.tables)
        if not given and names:
            return Selection(names)
        chosen = self.datasets
        include = () if chosen.include == ["*"] else tuple(chosen.include)
        return Selection(include, tuple(chosen.exclude), chosen.where, always=names)

    @property
    def layers(self) -> Selection:
        """The geographic datasets to read through WFS, of those that are kept."""
        return Selection(tuple(self.features.include), tuple(self.features.exclude))

    def rules(self) -> Rules:
        """How the portal is trusted.

        Raises:
            ConfigurationError: One of them is out of its range.
        """
        trust, tables = self.trust, self.tables
        own = {name: item.contract for name, item in tables.items()}
        contracts = (
            ("*", trust.schema_contract),
            *trust.schema_exceptions.items(),
            *((escape(name), contract) for name, contract in own.items() if contract),
        )
        decided = {name: item.rules() for name, item in tables.items()}
        return Rules(trust.max_trust_days, trust.max_shrink, trust.drift, contracts, decided)

    def options(self) -> Options:
        """How a run over the portal is made, incrementally and without accepting anything.

        Raises:
            ConfigurationError: A rule is out of its range.
        """
        features = self.features
        return Options(
            format=self.format,
            features=bool(features.include),
            wfs_version=features.version,
            axis_order=features.axis_order,
            rules=self.rules(),
            layers=self.layers,
            names=self.names(),
        )
