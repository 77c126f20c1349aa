"""Asset checks on records: whether they are all there, and whether their columns moved.

They state what landing has proven; proving is `portal.proof`'s work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from ods_pipeline.bring import Brought
from ods_pipeline.errors import DataError, OdsPipelineError

COMPLETE = "complete"
SCHEMA = "schema_unchanged"
_LISTED = 50


def specs(records: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks that every run over records evaluates."""
    return [
        dg.AssetCheckSpec(
            COMPLETE,
            asset=records,
            blocking=True,
            description="The rows are as many as the portal counts, of the declared types, and "
            "the portal's date of the data stood still while they were read.",
        ),
        dg.AssetCheckSpec(
            SCHEMA,
            asset=records,
            description="The publisher added, removed and retyped no field since the dataset was "
            "landed before. The table follows by itself; what is built on it may not.",
        ),
    ]


def results(
    done: Sequence[Brought], failed: Mapping[str, OdsPipelineError]
) -> Iterator[dg.AssetCheckResult]:
    """The outcome of both checks over all datasets of a run; none where nothing could be read."""
    doubtful = {name: str(error) for name, error in failed.items() if isinstance(error, DataError)}
    differing = {
        item.receipt.dataset_id: item.difference().message for item in done if item.differs
    }
    if done or doubtful:
        yield _completeness(done, {**doubtful, **differing})
        yield _schema(done)


def evaluations(
    records: dg.AssetKey, results: Sequence[dg.AssetCheckResult]
) -> Iterator[dg.AssetCheckEvaluation]:
    """The same outcomes for a step that fails.

    Dagster pins a result to the latest materialization of the run's own partition, and its UI
    shows a check as not evaluated unless that is the asset's latest of all. An evaluation that
    is pinned to none counts from the moment it is made.
    """
    for result in results:
        yield dg.AssetCheckEvaluation(
            asset_key=records,
            check_name=result.check_name or "",
            passed=result.passed,
            metadata=result.metadata or {},
            severity=result.severity,
            description=result.description,
            blocking=result.check_name == COMPLETE,
        )


def _completeness(done: Sequence[Brought], wrong: Mapping[str, str]) -> dg.AssetCheckResult:
    right = [item for item in done if item.receipt.dataset_id not in wrong]
    figures: dict[str, dg.MetadataValue] = {
        "datasets_proven": dg.MetadataValue.int(len(right)),
        "rows": dg.MetadataValue.int(sum(item.receipt.rows for item in right)),
    }
    proofs = {item.receipt.dataset_id: item.receipt.proof for item in right}
    listed = dict([*wrong.items(), *proofs.items()][:_LISTED])
    return dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not wrong,
        metadata={**figures, "datasets": dg.MetadataValue.md(_list(listed))},
        description="; ".join(wrong.values())[:500] or None,
    )


def _schema(done: Sequence[Brought]) -> dg.AssetCheckResult:
    moved = {item.receipt.dataset_id: change for item in done if (change := str(item.change))}
    return dg.AssetCheckResult(
        check_name=SCHEMA,
        passed=not moved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"datasets": dg.MetadataValue.md(_list(dict([*moved.items()][:_LISTED])))},
        description="; ".join(f"{name}: {change}" for name, change in moved.items())[:500] or None,
    )


def _list(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in entries.items()) or "none"
