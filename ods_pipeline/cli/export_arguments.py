"""What is typed for an export: its parameters, its filters, and where it is to be written.

The commands themselves are in `exports`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.errors import ConfigurationError

#: Parameters whose values may be a blank.
_BLANKS = {"delimiter", "list_separator"}


def filled(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The value of an option, which is not empty where it is given."""
    everywhere.require_filled(option.opts[-1], value)
    return value


def every_filter(words: str | None, *filters: str | None) -> str | None:
    """The filter for words and filters together."""
    from ods_pipeline.portal.queries.queries import searched
    from ods_pipeline.portal.query import all_of

    return searched(words or "", all_of(*filters))


def as_parameter(found: str | None) -> dict[str, str]:
    """A filter as the API's parameter, if there is one."""
    return {"where": found} if found else {}


def target_of(
    output: str | None, name: str, format: str, *, packed: bool = False, as_json: bool = False
) -> Path | BinaryIO:
    """Where an export is to be written.

    Raises:
        UsageError: It is stdout, where JSON is to be printed as well.
    """
    from ods_pipeline.sync.file_export import file_name

    own = file_name(name, format, packed=packed)
    if output is None:
        return Path(own)
    place = Path(output)
    if output == "-" or _is_stdout(place):
        if as_json:
            raise click.UsageError(f"--json and -o {output} both print to stdout: give one of them")
        return sys.stdout.buffer
    return place / own if place.is_dir() else place


def _is_stdout(place: Path) -> bool:
    """Whether a path leads to where this process prints, such as /dev/stdout."""
    try:
        return os.path.samestat(place.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def parameters_of(given: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the user typed them.

    Raises:
        ConfigurationError: One of them is none of the API's, or empty, or given twice.
    """
    from ods_pipeline.portal.query import all_of

    found: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise ConfigurationError(
                f"--set {text}: write NAME=VALUE with one of {', '.join(sorted(known))}"
            )
        if not (value if name in _BLANKS else value.strip()):
            raise ConfigurationError(f"--set {text}: give {name} a value, or leave it out")
        if name in {"refine", "exclude"}:
            found.setdefault(name, []).append(value)
        elif name == "where":
            found[name] = all_of(found.get(name), value)
        elif name in found:
            raise ConfigurationError(f"--set {text}: {name} was given before; give it once")
        elif name in {"limit", "offset"}:
            try:
                found[name] = int(value)
            except ValueError:
                raise ConfigurationError(f"--set {text}: {name} is a whole number") from None
        else:
            found[name] = {"true": True, "false": False}.get(value, value)
    return found
