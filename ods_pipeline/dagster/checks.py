"""Asset checks on landed rows: whether they are complete, and whether their columns changed.

They report what landing has proven; the proof itself belongs to `portal` and `sync`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg

from ods_pipeline.dagster.markdown import bullets
from ods_pipeline.dagster.results import Updated
from ods_pipeline.errors import DataError, HeldBack, OdsPipelineError
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.verdict import Kind

_NOT_TAKEN = frozenset({Kind.REFUSED, Kind.CONTRADICTED, Kind.UNPROVEN, Kind.SHRUNK, Kind.EMPTIED})

COMPLETE = "complete"
SCHEMA = "schema_unchanged"
VALUES = "values_kept"


def specs(records: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks that every run over records evaluates."""
    return [
        dg.AssetCheckSpec(
            COMPLETE,
            asset=records,
            blocking=True,
            description="The rows are as many as the portal counts, of the declared types, and "
            "the portal's date of the data stood still while they were read; they are not "
            "suspiciously fewer than before. `proven_by` names the count that was had.",
        ),
        dg.AssetCheckSpec(
            SCHEMA,
            asset=records,
            description="The publisher added, removed and retyped no field since the dataset was "
            "landed before. The table follows by itself; what is built on it may not.",
        ),
        dg.AssetCheckSpec(
            VALUES,
            asset=records,
            description="No value landed as null because it is not of its field's type. Such "
            "values are refused unless `bad_values: null` is set for the dataset.",
        ),
    ]


def standing(lake: Lake, kind: str, now: Collection[str]) -> dict[str, str]:
    """Why the data of other datasets were not taken, which stays so until they are.

    A check is about an asset, not about a partition, so a run over a good dataset must not make
    it green again. (Checks of partitions are a preview of Dagster's.)

    Args:
        lake: Where holds are listed.
        kind: `records` or `features`.
        now: The datasets of this run, which speak for themselves.
    """
    return {
        hold.dataset_id: hold.reason
        for hold in read_holds(lake).values()
        if hold.kind == kind and hold.verdict in _NOT_TAKEN and hold.dataset_id not in now
    }


def results(
    done: Sequence[Updated],
    failed: Mapping[str, OdsPipelineError],
    others: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[dg.AssetCheckResult]:
    """The outcome of the checks over all datasets of a run; none where nothing could be read.

    Args:
        done: The datasets that are as the portal has them.
        failed: The errors of the others.
        others: Datasets that are not of this run and whose data were not taken, with the reason.
    """
    wrong = {name: str(error) for name, error in failed.items() if isinstance(error, DataError)}
    frozen = {
        name: error.message
        for name, error in failed.items()
        if isinstance(error, HeldBack) and error.verdict == Kind.FROZEN
    }
    if done or wrong:
        yield _completeness(done, wrong, others)
        yield _schema(done, frozen)
        yield _values(done)


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


def _completeness(
    done: Sequence[Updated], wrong: Mapping[str, str], others: Mapping[str, str]
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        "datasets_proven": len(done),
        "rows": sum(item.result.receipt.rows for item in done),
    }
    if len(done) == 1 and not (wrong or others):
        metadata |= proof_figures(done[0].result.receipt)
    else:
        proofs = {item.planned.dataset_id: item.result.receipt.proof for item in done}
        metadata["datasets"] = bullets({**wrong, **others, **proofs})
    error, warning = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    bad = [*wrong.values(), *(f"{name}: {why}" for name, why in others.items())]
    return dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not bad,
        # An error blocks what follows, and these datasets are right.
        severity=warning if others and not wrong else error,
        metadata=metadata,
        description="; ".join(bad)[:500] or None,
    )


def proof_figures(receipt: Receipt) -> dict[str, Any]:
    """What a partition's rows were compared with, as figures.

    Receipts that were written before they had figures show the sentence alone.
    """
    moved = f"{receipt.data_processed} → {receipt.moved_to}" if receipt.moved_to else ""
    stood = f"stood at {receipt.data_processed or 'nothing'}"
    return {
        "rows": receipt.rows,
        **({"proven_by": receipt.proven_by} if receipt.proven_by else {}),
        **({"counted": int(receipt.counted)} if receipt.counted else {}),
        **({"data_processed": moved or stood} if receipt.counted or moved else {}),
        **({"drift_accepted": receipt.proof} if receipt.tolerance else {}),
        "proof": receipt.proof,
    }


def _schema(done: Sequence[Updated], frozen: Mapping[str, str]) -> dg.AssetCheckResult:
    changed = [item for item in done if str(item.result.change)]
    moved = {item.planned.dataset_id: str(item.result.change) for item in changed} | dict(frozen)
    return dg.AssetCheckResult(
        check_name=SCHEMA,
        passed=not frozen and not any(item.result.change.breaks for item in changed),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"datasets": bullets(moved)},
        description="; ".join(f"{name}: {text}" for name, text in moved.items())[:500] or None,
    )


def _values(done: Sequence[Updated]) -> dg.AssetCheckResult:
    lost = {
        item.planned.dataset_id: f"{int(item.result.receipt.rejected):,} values"
        for item in done
        if item.result.receipt.rejected
    }
    return dg.AssetCheckResult(
        check_name=VALUES,
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rejected": sum(int(item.result.receipt.rejected or 0) for item in done),
            "datasets": bullets(lost),
        },
        description="; ".join(f"{name}: {text}" for name, text in lost.items())[:500] or None,
    )
