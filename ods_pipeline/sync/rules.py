"""The rules by which a portal is trusted: how long, how far, and with which changes of columns.

Values with their defaults. Reading them from options or YAML belongs to `cli` and `dagster`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import get_args

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.warehouse.protocol import Contract

CONTRACTS: tuple[Contract, ...] = get_args(Contract)

_FEWEST_DEEP_CHECKS = 20
_LONGEST_TRUST = 36_500


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
    """

    trust_days: int = 30
    shrink: float = 50.0
    drift: float = 0.0
    contracts: tuple[tuple[str, Contract], ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: A number is out of its range, or there is no such contract.
        """
        if not 0 <= self.trust_days <= _LONGEST_TRUST:
            message = f"{self.trust_days} days of trust: give 0 to {_LONGEST_TRUST}"
            raise ConfigurationError(message)
        for name, percent in (("shrink", self.shrink), ("drift", self.drift)):
            if not 0 <= percent <= 100:
                raise ConfigurationError(f"{name} is {percent}: give a percentage, 0 to 100")
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

    def drifted(self, rows: int, counted: int) -> bool:
        """Whether rows differ from a count by more than a moving dataset may."""
        return abs(rows - counted) > counted * self.drift / 100

    def deep_checks(self, landed: int) -> int:
        """How many datasets a run may compare by content alone.

        Twice as many as a daily run needs to reach every dataset in time. So they are spread over
        the days and never spend a quota at once.
        """
        if not self.trust_days:
            return landed
        return max(_FEWEST_DEEP_CHECKS, 2 * math.ceil(landed / self.trust_days))


DEFAULT = Rules()

#: How a person accepts what is held, for messages.
ACCEPT_WITH = "`ods-pipeline sync --accept`, or `accept: true` in Dagster's launchpad"
