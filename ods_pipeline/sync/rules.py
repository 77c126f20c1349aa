"""The rules by which a portal is trusted: how long, how far, and with which changes of columns.

Values with their defaults. Reading them from options or YAML belongs to `cli` and `dagster`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.query import Query
from ods_pipeline.warehouse.protocol import Contract

BadValues = Literal["refuse", "null"]

CONTRACTS: tuple[Contract, ...] = get_args(Contract)
BAD_VALUES: tuple[BadValues, ...] = get_args(BadValues)

_FEWEST_DEEP_CHECKS = 20
LONGEST_TRUST = 36_500


@dataclass(frozen=True)
class TableRules:
    """What a user has decided for one dataset.

    Attributes:
        bad_values: What happens to values that are not of their field's type: `refuse` refuses the
            dataset, `null` lands the others and keeps these in a file of their own.
        types: Types to read fields as, instead of the declared ones, by the fields' names.
        drift: As in `Rules`, for this dataset.
        where: ODSQL filter of its records; all of them without it.
        select: Names of the fields to read; all without it.
        lang: Language of texts in `where` that depend on one.
        timezone: Time zone of the date functions of `where`; landed moments stay UTC.
    """

    bad_values: BadValues = "refuse"
    types: Mapping[str, str] = field(default_factory=dict)
    drift: float | None = None
    where: str = ""
    select: tuple[str, ...] = ()
    lang: str = ""
    timezone: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: There is no such type or decision, or the number is out of range.
        """
        for name, kind in self.types.items():
            from ods_pipeline.tables.schema import TYPES  # Arrow, which `--help` need not wait for.

            if kind not in TYPES:
                raise ConfigurationError(
                    f"{kind!r} is no type for the field {name!r}: choose one of {', '.join(TYPES)}"
                )
        if self.bad_values not in BAD_VALUES:
            raise ConfigurationError(
                f"{self.bad_values!r} is no decision about bad values: choose one of "
                f"{', '.join(BAD_VALUES)}"
            )
        if self.drift is not None:
            _require_percentage("drift", self.drift)

    @property
    def query(self) -> Query:
        """Which records and fields are asked for."""
        return Query(
            where=self.where or None,
            fields=self.select,
            lang=self.lang or None,
            timezone=self.timezone or None,
        )

    @property
    def filter(self) -> str:
        """The same as one text, by which another wish is noticed; empty for everything as it is."""
        given = {
            "where": self.where,
            "select": sorted(self.select),
            "lang": self.lang,
            "timezone": self.timezone,
            "types": dict(sorted(self.types.items())),
        }
        asked = {name: value for name, value in given.items() if value}
        return json.dumps(asked, ensure_ascii=False) if asked else ""


_UNDECIDED = TableRules()


@dataclass(frozen=True)
class Rules:
    """How a portal is trusted.

    Attributes:
        trust_days: For so many days a dataset whose date does not move counts as unchanged. After
            that its content is fetched and compared. 0 compares at every run.
        shrink: Percent of its rows that a table may lose at once; beyond that the rows of before
            stay until a person accepts the new ones.
        drift: Percent of its rows by which a dataset that is being republished while it is read
            may differ from the portal's count; 0 accepts none that moves.
        contracts: What happens when fields are added, removed or retyped, by pattern of the
            dataset's identifier; the last that matches counts. `evolve` lets the table follow,
            `freeze` fetches nothing, `quarantine` lands the data and leaves the table.
        tables: What was decided for single datasets, by identifier.
        others: What was decided for all other datasets.
    """

    trust_days: int = 30
    shrink: float = 50.0
    drift: float = 0.0
    contracts: tuple[tuple[str, Contract], ...] = ()
    tables: Mapping[str, TableRules] = field(default_factory=dict)
    others: TableRules = _UNDECIDED

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: A number is out of its range, or there is no such contract.
        """
        if not 0 <= self.trust_days <= LONGEST_TRUST:
            message = f"{self.trust_days} days of trust: give 0 to {LONGEST_TRUST}"
            raise ConfigurationError(message)
        _require_percentage("shrink", self.shrink)
        _require_percentage("drift", self.drift)
        for pattern, contract in self.contracts:
            if contract not in CONTRACTS:
                raise ConfigurationError(
                    f"{contract!r} is no schema contract for {pattern}: choose one of "
                    f"{', '.join(CONTRACTS)}"
                )

    @property
    def trust(self) -> timedelta:
        """How long a dataset whose date does not move counts as unchanged."""
        return timedelta(days=self.trust_days)

    def contract(self, dataset_id: str) -> Contract:
        """What happens when the fields of a dataset change."""
        matching = [kind for pattern, kind in self.contracts if fnmatchcase(dataset_id, pattern)]
        return matching[-1] if matching else "evolve"

    def shrunk(self, before: int, now: int) -> bool:
        """Whether a table would lose more of its rows than it may."""
        return now < before * (1 - self.shrink / 100)

    def table(self, dataset_id: str) -> TableRules:
        """What was decided for a dataset."""
        return self.tables.get(dataset_id, self.others)

    def narrowed(self, where: str, select: tuple[str, ...]) -> Rules:
        """The same with another filter and other fields, where given, for every dataset."""
        given: dict[str, Any] = {"where": where, "select": select}
        asked = {name: value for name, value in given.items() if value}
        if not asked:
            return self
        tables = {name: replace(table, **asked) for name, table in self.tables.items()}
        return replace(self, tables=tables, others=replace(self.others, **asked))

    def drift_of(self, dataset_id: str) -> float:
        """Percent of its rows by which a dataset may differ from the portal's count."""
        own = self.table(dataset_id).drift
        return self.drift if own is None else own

    def drifted(self, dataset_id: str, rows: int, counted: int) -> bool:
        """Whether rows differ from a count by more than a moving dataset may."""
        return abs(rows - counted) > counted * self.drift_of(dataset_id) / 100

    def applied(self, dataset: Dataset) -> Dataset:
        """The dataset with the fields that a user selects, of the types decided for them."""
        table = self.table(dataset.dataset_id)
        if not (table.types or table.select):
            return dataset
        declared = {item.name for item in dataset.fields}
        for key, names in (("types", table.types), ("select", table.select)):
            unknown = sorted(set(names) - declared)
            if unknown and declared:
                message = f"it has no field {unknown[0]!r}, which `{key}` names; correct that"
                return replace(dataset, refused=dataset.refused or message)
        fields = (
            replace(item, type=table.types[item.name], retyped=True)
            if item.name in table.types
            else item
            for item in dataset.fields
            if not table.select or item.name in table.select
        )
        return replace(dataset, fields=tuple(fields))

    def decided(self, dataset_id: str) -> str:
        """What was decided that another decision about a refused dataset would change."""
        table = self.table(dataset_id)
        return f"{table.bad_values} {self.drift_of(dataset_id):g} {table.filter}".strip()

    def deep_checks(self, landed: int) -> int:
        """How many datasets a run may compare by content alone.

        Twice as many as a daily run needs to reach every dataset in time. So they are spread over
        the days and never spend a quota at once.
        """
        if not self.trust_days:
            return landed
        return max(_FEWEST_DEEP_CHECKS, 2 * math.ceil(landed / self.trust_days))


def is_percentage(value: float) -> bool:
    """Whether a number can be a percentage of rows."""
    return 0 <= value <= 100


def _require_percentage(name: str, percent: float) -> None:
    if not is_percentage(percent):
        raise ConfigurationError(f"{name} is {percent}: give a percentage, 0 to 100")


DEFAULT = Rules()
