"""Reads what Dagster's chart renders of our values, for `make check-kubernetes`.

Every object fits Kubernetes' schemas, and the chart's `dagster.yaml` says what the tests take for
granted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import yaml

from tests import kubernetes_profile


def lost(told: Mapping[str, Any], rendered: Mapping[str, Any], at: str = "") -> list[str]:
    """What the one says and the other does not, by its name; defaults of the chart may be more."""
    found = []
    for name, value in told.items():
        other = rendered.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += lost(value, other, f"{at}{name}.")
        elif value != other:
            found.append(f"{at}{name} is {other}, not {value}")
    return found


def main() -> None:
    """Read the objects from the standard input, and end with an error that names what is wrong."""
    objects = [one for one in yaml.safe_load_all(sys.stdin) if one]
    if not objects:
        sys.exit("helm has rendered nothing")
    for one in objects:
        try:
            kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            sys.exit(f"{one['kind']} {one['metadata']['name']}: {error.message}")
    (text,) = [
        one["data"]["dagster.yaml"] for one in objects if "dagster.yaml" in (one.get("data") or {})
    ]
    if missing := lost(kubernetes_profile.settings(), yaml.safe_load(text)):
        sys.exit("dagster.yaml: " + "; ".join(missing))
    print(f"{len(objects)} objects, and the settings of Dagster are the ones that are tested")


if __name__ == "__main__":
    main()
