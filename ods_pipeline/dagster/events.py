"""A step over several partitions: each has its own data version, and a failure loses none done.

Dagster stores one data version for all partitions of a step, and nothing at all of a step that
fails. So finished partitions are logged one by one. Nothing is landed or loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import dagster as dg

from ods_pipeline.dagster.markdown import literal
from ods_pipeline.dagster.resources import failure, until
from ods_pipeline.errors import OdsPipelineError, QuotaExhausted, WarehouseLocked, unexpected_error
from ods_pipeline.sync.side_by_side import before_its_turn

_SENTENCES = 5
_LISTED = 200


class Done(Protocol):
    """A partition that is finished."""

    @property
    def version(self) -> str:
        """Its data version."""

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""


_Done = TypeVar("_Done", bound=Done)


def for_each_partition(
    names: Iterable[str], step: Callable[[str], _Done]
) -> tuple[dict[str, _Done], dict[str, OdsPipelineError]]:
    """Do something for every partition, and go on after failures.

    A spent quota or a locked warehouse would fail all that follow, so either ends it.

    Args:
        names: The partitions, the most urgent first: a quota may leave the last ones undone.
        step: Finishes one partition.

    Returns:
        What is done, and the errors of the others.
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
            return done, failed | {rest: before_its_turn(error) for rest in waiting}
        except WarehouseLocked as error:
            failed[name] = error
            return done, failed | {
                rest: WarehouseLocked(f"not tried after {name}") for rest in waiting
            }
        except OdsPipelineError as error:
            failed[name] = error
        except Exception as error:  # One dataset's bug must not cost the others theirs.
            failed[name] = unexpected_error(error, name)
    return done, failed


def event(key: dg.AssetKey, name: str | None, item: Done) -> dg.AssetMaterialization:
    """One partition's materialization, with its own data version; without a name, an asset's."""
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
    """Log what is done of a step that failed, and return its failure."""
    for name, item in done.items():
        context.log_event(event(context.asset_key, name, item))
    return summary_failure(len(done), failed)


def summary_failure(done: int, failed: Mapping[str, OdsPipelineError]) -> dg.Failure:
    """The failures of several datasets as one, apart from those that a quota put off."""
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
    sentences = [error_sentence(name, error) for name, error in failed.items()]
    more = f"; and {len(sentences) - _SENTENCES} more" if len(sentences) > _SENTENCES else ""
    return f"{'; '.join(sentences[:_SENTENCES])}{more}"


def _listed(failed: Mapping[str, OdsPipelineError]) -> dg.MetadataValue[Any]:
    lines = [f"- {literal(error_sentence(name, error))}" for name, error in failed.items()]
    return dg.MetadataValue.md("\n".join(lines[:_LISTED]))


def error_sentence(name: str, error: OdsPipelineError) -> str:
    """The error's sentence, with the dataset's name if it lacks it."""
    sentence = str(error)
    return sentence if name in sentence else f"{name}: {sentence}"
