"""The control API ``/_emulator``: calls a verb by its name, and lists the verbs.

What a verb does is defined with the verbs.
"""

from __future__ import annotations

import inspect
from typing import Any

from ods_pipeline.emulator.admin_verbs import AdminVerbs
from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.faults.fault import KINDS, Fault
from ods_pipeline.emulator.http.errors import api_error

ON_DATASETS = (
    "publish",
    "republish",
    "touch",
    "describe",
    "relabel",
    "retype",
    "withdraw",
    "restrict",
    "hide",
    "rename",
    "lie",
    "make_big",
    "ration_dataset",
    "attach",
    "detach",
)
# What the path names instead of a dataset.
ON_OTHERS = {
    "add_user": "name",
    "add_key": "key",
    "revoke_key": "key",
    "expire_key": "key",
    "add_application": "client_id",
    "issue": "user",
}
ON_PORTAL = (
    "ration",
    "pass_time",
    "use_up",
    "make_up",
    "shut",
    "expire_access_tokens",
    "revoke_logins",
)


def call(portal: AdminVerbs, verb: str, dataset_id: str, arguments: dict[str, Any]) -> Any:
    """Do the verb of ``POST /_emulator/<verb>/<dataset_id>``; without one, list all verbs."""
    if not verb:
        return {"verbs": _all_verbs()}
    if verb == "fail":
        return _fail(portal, **arguments)
    if verb in ON_PORTAL:
        getattr(portal, verb)(**arguments)
        return {"done": verb}
    if verb in ON_OTHERS:
        result = getattr(portal, verb)(dataset_id, **arguments)
        return {"done": verb, ON_OTHERS[verb]: dataset_id} | (result or {})
    if verb not in ON_DATASETS:
        known = ", ".join((*ON_DATASETS, *ON_OTHERS, *ON_PORTAL, "fail"))
        raise api_error(404, "UnknownVerb", f"There is no verb {verb}; the verbs are {known}.")
    result = getattr(portal, verb)(dataset_id, **arguments)
    done = {"done": verb, "dataset_id": dataset_id}
    return done | (_dates(result) if isinstance(result, Dataset) else {})


def _dates(dataset: Dataset) -> dict[str, Any]:
    default = dataset.metas["default"]
    names = ("modified", "data_processed", "metadata_processed", "records_count")
    return {"dataset_id": dataset.dataset_id, **{name: default[name] for name in names}}


def _fail(
    portal: AdminVerbs, match: str, fault: str, times: int | None = 1, **arguments: Any
) -> dict[str, Any]:
    if fault not in KINDS:
        raise ValueError(f"there is no fault {fault}; the faults are {', '.join(KINDS)}")
    portal.fail(match, getattr(Fault, fault)(**arguments), times)
    return {"done": "fail", "match": match, "fault": fault, "times": times}


def _all_verbs() -> dict[str, Any]:
    verbs = {name: _description(name, "<dataset_id>") for name in ON_DATASETS}
    verbs |= {name: _description(name, f"<{first}>") for name, first in ON_OTHERS.items()}
    verbs |= {name: _description(name) for name in (*ON_PORTAL, "fail")}
    faults = {n: list(inspect.signature(getattr(Fault, n)).parameters) for n in KINDS}
    verbs["fail"]["faults"] = faults
    return verbs


def _description(name: str, first: str = "") -> dict[str, Any]:
    verb = getattr(AdminVerbs, name)
    parameters = list(inspect.signature(verb).parameters)[1:]
    return {
        "call": f"POST /_emulator/{name}" + (f"/{first}" if first else ""),
        "body": parameters[1:] if first else parameters,
        "does": (verb.__doc__ or "").splitlines()[0],
    }
