"""A step over several partitions: each gets its own data version, and a failure loses none done.

Dagster stores one data version for all partitions of a step, and nothing at all of a step that
fails. So what is done is logged partition by partition; which work that is, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import dagster as dg

from ods_pipeline.errors import OdsPipelineError, QuotaExhausted, WarehouseLocked, surprise
from ods_pipeline.resources import failure

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
    """
    done: dict[str, _Done] = {}
    failed: dict[str, OdsPipelineError] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        try:
            done[name] = step(name)
        except (QuotaExhausted, WarehouseLocked) as error:
            failed[name] = error
            put_off = {rest: type(error)(f"not tried after {name}") for rest in waiting}
            return done, {**failed, **put_off}
        except OdsPipelineError as error:
            failed[name] = error
        except Exception as error:  # One dataset's surprise must not cost the others theirs.
            failed[name] = surprise(error, name)
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
    """The failures of several datasets as one."""
    if len(failed) == 1 and not done:
        return failure(*failed.values())
    sentences = [named(name, error) for name, error in failed.items()]
    more = f"; and {len(sentences) - _SENTENCES} more" if len(sentences) > _SENTENCES else ""
    return dg.Failure(
        description=f"{len(failed)} of {done + len(failed)} datasets failed: "
        f"{'; '.join(sentences[:_SENTENCES])}{more}",
        metadata={
            "failed": dg.MetadataValue.md("\n".join(f"- {line}" for line in sentences[:_LISTED]))
        },
        allow_retries=any(isinstance(error, WarehouseLocked) for error in failed.values()),
    )


def named(name: str, error: OdsPipelineError) -> str:
    """The error's sentence, with the dataset's name wherever it lacks it."""
    sentence = str(error)
    return sentence if name in sentence else f"{name}: {sentence}"
