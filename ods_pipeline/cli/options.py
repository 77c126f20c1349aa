"""The options of the command line that say what is chosen, and how a portal is trusted.

Only their values are read here; what follows from them is decided in `sync`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.sync.selection import Selection


class Number(click.FloatRange):
    """A number in a range; what is none, such as `nan`, is in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what only looks like a number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no number.", param, ctx)
        return found


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command names of datasets and what narrows them.

    It receives `selection`, a function of what is configured.
    """

    @click.argument("datasets", nargs=-1, metavar="[DATASET]...")
    @click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Leave out these datasets: an identifier, or a pattern such as 'archive-*'. May be "
        "repeated.",
    )
    @click.option(
        "--where",
        default="",
        metavar="ODSQL",
        help="Only datasets whose description in the catalog passes this filter, such as "
        "\"publisher = 'SNCF'\" or \"keyword = 'transport'\".",
    )
    @functools.wraps(command)
    def with_selection(
        *args: Any, datasets: Sequence[str], exclude: Sequence[str], where: str, **kwargs: Any
    ) -> Any:
        typed = Selection(tuple(datasets), tuple(exclude), where, typed=bool(datasets))
        return command(*args, selection=typed.within, **kwargs)

    return with_selection


def rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options.

    It receives `accept`, and `rules`, a function of what is configured: what the command line says
    goes before it.
    """

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
        type=Number(0, 100),
        default=DEFAULT.shrink,
        show_default=True,
        metavar="PERCENT",
        help="Hold back a table that would lose more of its rows than this.",
    )
    @click.option(
        "--drift",
        type=Number(0, 100),
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
    @click.option(
        "--rows",
        default="",
        metavar="ODSQL",
        help='Only records of the chosen datasets that pass this filter, such as "year >= 2020". '
        "Another filter, or none, fetches them again.",
    )
    @click.option(
        "--select",
        default="",
        metavar="FIELD,...",
        help="Only these fields of the chosen datasets.",
    )
    @functools.wraps(command)
    def with_rules(
        *args: Any,
        max_trust_days: int,
        max_shrink: float,
        drift: float,
        contracts: Sequence[str],
        rows: str,
        select: str,
        **kwargs: Any,
    ) -> Any:
        values = {"trust_days": max_trust_days, "shrink": max_shrink, "drift": drift}
        options = {"trust_days": "max_trust_days", "shrink": "max_shrink", "drift": "drift"}
        given: dict[str, Any] = {
            name: values[name] for name, option in options.items() if was_given(option)
        }
        fields = tuple(filter(None, (name.strip() for name in select.split(","))))
        if was_given("select") and not fields:
            raise click.UsageError("--select names no field: leave it out for all of them")

        def rules(configured: Rules) -> Rules:
            more = (*configured.contracts, *map(_contract, contracts))
            tables = configured.tables
            if "drift" in given:
                tables = {name: replace(table, drift=None) for name, table in tables.items()}
            wanted = replace(configured, contracts=more, tables=tables, **given)
            return wanted.narrowed(rows, fields)

        return command(*args, rules=rules, **kwargs)

    return with_rules


def was_given(option: str) -> bool:
    """Whether an option of the command that runs was given, and is not a default."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not ParameterSource.DEFAULT


def _contract(text: str) -> Any:
    pattern, given, contract = text.rpartition("=")
    return (pattern if given else "*", contract)
