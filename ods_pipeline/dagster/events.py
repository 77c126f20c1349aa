"""A step over several partitions: each gets its own data version, and a failure loses none done.

Dagster stores one data version for all partitions of a step, and nothing at all of a step that
fails. So what is done is logged partition by partition; which work that is, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import dagster as dg

from ods_pipeline.dagster.resources import failure, until
from ods_pipeline.errors import OdsPipelineError, QuotaExhausted, WarehouseLocked, unexpected_error

_SENTENCES = 5
_LISTED = 200


class Done(Protocol):
    """One partition's work, finished."""

    @property
    def version(self) -> str:
        """Its data version."""

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""


_Done = TypeVar("_Done", bound=Done)


def each(
    names: Iterable[str], step: Callable[[str], _Done]
) -> tuple[dict[str, _Done], dict[str, OdsPipelineError]]:
    """Take the step for every partition, and go on after failures.

    A spent quota and a locked warehouse would fail all that follow, so they end it.

    Args:
        names: Those that need it most first: what a quota leaves undone is the rest.
        step: Brings one up to date.
    """
    done: dict[str, _Done] = {}
    failed: dict[str, OdsPipelineError] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        try:
            done[name] = step(name)
        except QuotaExhausted as error:
            failed[name] = error
            if error.of_dataset:
                continue
            again = f"; it starts anew at {error.reset:%Y-%m-%d %H:%M} UTC" if error.reset else ""
            told = f"the request quota was spent before its turn{again}"
            return done, failed | {
                rest: QuotaExhausted(told, reset=error.reset, portal=error.portal)
                for rest in waiting
            }
        except WarehouseLocked as error:
            failed[name] = error
            return done, failed | {
                rest: WarehouseLocked(f"not tried after {name}") for rest in waiting
            }
        except OdsPipelineError as error:
            failed[name] = error
        except Exception as error:  # One dataset's surprise must not cost the others theirs.
            failed[name] = unexpected_error(error, name)
    return done, failed


def event(key: dg.AssetKey, name: str, item: Done) -> dg.AssetMaterialization:
    """One partition's materialization, with its own data version."""
    tags = {"dagster/data_version": item.version}
    return dg.AssetMaterialization(key, partition=name, metadata=item.metadata(), tags=tags)


def materialized(
    context: dg.AssetExecutionContext,
    done: Mapping[str, Done],
    checks: Sequence[dg.AssetCheckResult] = (),
) -> Iterator[Any]:
    """The events of a step that succeeded for all its partitions."""
    if len(done) == 1:
        (item,) = done.values()
        yield dg.MaterializeResult(
            metadata=item.metadata(),
            data_version=dg.DataVersion(item.version),
            check_results=checks,
        )
        return
    yield dg.MaterializeResult(check_results=checks)
    # Logged after Dagster's own events, which bear one data version for all: the last one counts.
    for name, item in done.items():
        context.log_event(event(context.asset_key, name, item))


def interrupted(
    context: dg.AssetExecutionContext,
    done: Mapping[str, Done],
    failed: Mapping[str, OdsPipelineError],
) -> dg.Failure:
    """Keep what was done of a step that failed, and say what failed."""
    for name, item in done.items():
        context.log_event(event(context.asset_key, name, item))
    return summed_up(len(done), failed)


def summed_up(done: int, failed: Mapping[str, OdsPipelineError]) -> dg.Failure:
    """The failures of several datasets as one; what a quota put off is no failure of theirs."""
    if len(failed) == 1 and not done:
        return failure(*failed.values())
    put_off = {name: e for name, e in failed.items() if isinstance(e, QuotaExhausted)}
    wrong = {name: error for name, error in failed.items() if name not in put_off}
    total = done + len(failed)
    parts = [
        f"{len(errors)} of {total} datasets {word}: {_shortened(errors)}"
        for word, errors in (("failed", wrong), ("are deferred", put_off))
        if errors
    ]
    return dg.Failure(
        description="; ".join(parts),
        metadata={
            **({"failed": _listed(wrong)} if wrong else {}),
            **({"deferred": _listed(put_off)} if put_off else {}),
            **until(put_off.values()),
        },
        allow_retries=any(isinstance(error, WarehouseLocked) for error in failed.values()),
    )


def _shortened(failed: Mapping[str, OdsPipelineError]) -> str:
    sentences = [named(name, error) for name, error in failed.items()]
    more = f"; and {len(sentences) - _SENTENCES} more" if len(sentences) > _SENTENCES else ""
    return f"{'; '.join(sentences[:_SENTENCES])}{more}"


def _listed(failed: Mapping[str, OdsPipelineError]) -> dg.MetadataValue[Any]:
    lines = [f"- {named(name, error)}" for name, error in failed.items()]
    return dg.MetadataValue.md("\n".join(lines[:_LISTED]))


def named(name: str, error: OdsPipelineError) -> str:
    """The error's sentence, with the dataset's name wherever it lacks it."""
    sentence = str(error)
    return sentence if name in sentence else f"{name}: {sentence}"
