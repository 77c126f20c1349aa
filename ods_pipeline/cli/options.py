"""The options of the command line that say how a portal is trusted.

Only their values are read here; what follows from them is decided in `sync`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from ods_pipeline.sync.rules import DEFAULT, Rules


def rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it receives their values as `rules` and `accept`."""

    @click.option(
        "--accept",
        is_flag=True,
        help="Accept what is held: a table that shrank, emptied or changed its columns. "
        "Name the DATASET that you have looked at; without a name everything held is accepted.",
    )
    @click.option(
        "--max-trust-days",
        type=click.IntRange(min=0),
        default=DEFAULT.trust_days,
        show_default=True,
        metavar="DAYS",
        help="Compare the content of a dataset whose date has not moved for so long.",
    )
    @click.option(
        "--max-shrink",
        type=click.FloatRange(0, 100),
        default=DEFAULT.shrink,
        show_default=True,
        metavar="PERCENT",
        help="Hold back a table that would lose more of its rows than this.",
    )
    @click.option(
        "--drift",
        type=click.FloatRange(0, 100),
        default=DEFAULT.drift,
        show_default=True,
        metavar="PERCENT",
        help="Difference from the portal's count that is accepted, and told, of a dataset that is "
        "republished while it is read, twice in a row. 0 accepts none.",
    )
    @click.option(
        "--schema",
        "contracts",
        multiple=True,
        metavar="[DATASET=]CONTRACT",
        help="What to do when fields are added, removed or retyped: evolve (follow, the default), "
        "freeze (fetch nothing) or quarantine (land the data, leave the table). May be repeated; "
        "DATASET may hold * and ?, and the last that matches counts.",
    )
    @functools.wraps(command)
    def with_rules(
        *args: Any,
        max_trust_days: int,
        max_shrink: float,
        drift: float,
        contracts: Sequence[str],
        **kwargs: Any,
    ) -> Any:
        rules = Rules(max_trust_days, max_shrink, drift, tuple(map(_contract, contracts)))
        return command(*args, rules=rules, **kwargs)

    return with_rules


def _contract(text: str) -> Any:
    pattern, given, contract = text.rpartition("=")
    return (pattern if given else "*", contract)
