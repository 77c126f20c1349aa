"""The verbs over HTTP, for a person with curl: which there are and how they are called."""

from __future__ import annotations

import inspect
from typing import Any

from ods_pipeline.emulator.errors import coded
from ods_pipeline.emulator.faults import Fault
from ods_pipeline.emulator.model import Dataset
from ods_pipeline.emulator.verbs import Verbs

NAMES = (
    "publish",
    "republish",
    "touch",
    "describe",
    "relabel",
    "retype",
    "withdraw",
    "restrict",
    "rename",
    "lie",
    "make_big",
)
SPOILING = (
    "status",
    "quota",
    "html",
    "cut",
    "reset",
    "stall",
    "header_only",
    "short_rows",
    "slow",
    "appended_error",
    "exception_report",
    "empty_body",
    "redirect",
)


def call(portal: Verbs, verb: str, dataset_id: str, arguments: dict[str, Any]) -> Any:
    """Do what ``POST /_emulator/<verb>/<dataset_id>`` asks; without a verb, tell them all."""
    if not verb:
        return {"verbs": _told()}
    if verb == "fail":
        return _fail(portal, **arguments)
    if verb == "make_up":
        portal.make_up(**arguments)
        return {"done": verb}
    if verb not in NAMES:
        known = ", ".join((*NAMES, "fail", "make_up"))
        raise coded(404, "UnknownVerb", f"There is no verb {verb}; the verbs are {known}.")
    made = getattr(portal, verb)(dataset_id, **arguments)
    done = {"done": verb, "dataset_id": dataset_id}
    return done | (_stamps(made) if isinstance(made, Dataset) else {})


def _stamps(dataset: Dataset) -> dict[str, Any]:
    default = dataset.metas["default"]
    names = ("modified", "data_processed", "metadata_processed", "records_count")
    return {"dataset_id": dataset.dataset_id, **{name: default[name] for name in names}}


def _fail(
    portal: Verbs, match: str, fault: str, times: int | None = 1, **arguments: Any
) -> dict[str, Any]:
    if fault not in SPOILING:
        raise ValueError(f"there is no fault {fault}; the faults are {', '.join(SPOILING)}")
    portal.fail(match, getattr(Fault, fault)(**arguments), times)
    return {"done": "fail", "match": match, "fault": fault, "times": times}


def _told() -> dict[str, Any]:
    told = {}
    for name in NAMES:
        verb = getattr(Verbs, name)
        parameters = list(inspect.signature(verb).parameters)[2:]
        told[name] = {
            "call": f"POST /_emulator/{name}/<dataset_id>",
            "body": parameters,
            "does": (verb.__doc__ or "").splitlines()[0],
        }
    told["make_up"] = {
        "call": "POST /_emulator/make_up",
        "body": ["count", "rows"],
        "does": (Verbs.make_up.__doc__ or "").splitlines()[0],
    }
    told["fail"] = {
        "call": "POST /_emulator/fail",
        "body": ["match", "fault", "times"],
        "does": (Verbs.fail.__doc__ or "").splitlines()[0],
        "faults": {n: list(inspect.signature(getattr(Fault, n)).parameters) for n in SPOILING},
    }
    return told
