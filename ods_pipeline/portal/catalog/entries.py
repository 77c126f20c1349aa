"""The catalog's entries one by one: good datasets, and those that are refused by name.

One bad entry must not keep the others from being read. Nothing is fetched here; what follows from
a refusal is decided in `sync`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ods_pipeline.dataset import Dataset
from ods_pipeline.markup import plain
from ods_pipeline.portal.http.address import leads_away
from ods_pipeline.portal.http.limits import BOUNDS, require_number

_SHOWN = 200
_HOLDERS = frozenset({dict, list})
_DESCRIBED = ("title", "description", "publisher", "license", "license_url", "attributions")
# Characters that URLs, file names or terminals would change or hide.
_UNUSABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


class Entry(NamedTuple):
    """An entry of a catalog that was read.

    Attributes:
        dataset: What it describes, or the refusal of it.
        named: Whether it has an identifier.
        whole: Whether it has fields and metas; None where it is no object.
    """

    dataset: Dataset
    named: bool
    whole: bool | None


def parsed(portal: str, number: int, entry: Any) -> Entry:
    """One entry of a catalog.

    Args:
        portal: Slug of the portal.
        number: Which one it is, from 1.
        entry: The dataset object as the portal gave it.
    """
    # Beyond all that is read, it is only counted.
    known = number <= BOUNDS.datasets
    dataset = _one(portal, entry, number) if known else Dataset(portal, "")
    inner = entry.get("dataset", entry) if isinstance(entry, dict) else None
    whole = "fields" in inner and "metas" in inner if isinstance(inner, dict) else None
    return Entry(dataset, _identifier(entry) is not None, whole)


def read(portal: str, entries: Sequence[Any]) -> list[Dataset] | None:
    """The datasets of a catalog, each once, in its order; None if it is not a catalog.

    Args:
        portal: Slug of the portal.
        entries: The dataset objects as the portal gave them.

    Raises:
        DataError: There are more than any honest catalog has.
    """
    return combined([parsed(portal, number, entry) for number, entry in enumerate(entries, 1)])


def combined(entries: Sequence[Entry]) -> list[Dataset] | None:
    """The datasets of all entries of a catalog; see `read`.

    Raises:
        DataError: There are more than any honest catalog has.
    """
    require_number("the catalog", len(entries), BOUNDS.datasets, "datasets")
    if entries and not any(entry.named for entry in entries):
        return None
    datasets: dict[str, Dataset] = {}
    for dataset, _, _ in entries:
        first = datasets.setdefault(dataset.dataset_id, dataset)
        if first != dataset and not first.refused:
            reason = "the catalog lists it more than once, and not alike"
            portal, name = dataset.portal, dataset.dataset_id
            datasets[name] = _refused(portal, name, reason)
    return _without_shared_uids(list(datasets.values()))


def _one(portal: str, entry: Any, number: int) -> Dataset:
    identifier = _identifier(entry)
    if identifier is None:
        reason = "the catalog has an entry without a dataset_id that is a text"
        return _refused(portal, f"(entry {number} of the catalog)", reason)
    try:
        problem = unusable(identifier) or _excess(entry)
        if not problem:
            sound = _sound(Dataset.from_api(portal, entry))
            # A dataset_uid that cannot be written down does not identify.
            odd = _UNUSABLE.search(sound.dataset_uid)
            return replace(sound, dataset_uid="") if odd else sound
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = str(error) if isinstance(error, ValueError) else "its entry is malformed"
    except RecursionError:
        problem = "its entry is nested too deeply"
    return _refused(portal, identifier, problem)


def _identifier(entry: Any) -> str | None:
    inner = entry.get("dataset", entry) if isinstance(entry, dict) else None
    identifier = inner.get("dataset_id") if isinstance(inner, dict) else None
    return identifier if isinstance(identifier, str) else None


def unusable(dataset_id: str) -> str:
    """Why an identifier cannot be used safely; empty if it can."""
    if not dataset_id.strip():
        return "its dataset_id is empty"
    if len(dataset_id) > BOUNDS.identifier:
        length = f"{len(dataset_id):,} characters"
        return f"its dataset_id has {length}, and no more than {BOUNDS.identifier:,} are read"
    if _UNUSABLE.search(dataset_id):
        return "its dataset_id holds invisible characters, or halves of characters"
    if leads_away(dataset_id):
        return "its dataset_id would lead to another path of the portal"
    return ""


def _excess(entry: Any) -> str:
    inner = entry.get("dataset", entry)
    fields = inner.get("fields")
    if isinstance(fields, list) and len(fields) > BOUNDS.columns:
        return f"it declares {len(fields):,} fields, and no more than {BOUNDS.columns:,} are read"
    if _too_deep(inner):
        return f"its entry is nested more than {BOUNDS.nesting} levels deep"
    return ""


def _too_deep(entry: dict[str, Any]) -> bool:
    level: list[Any] = [entry]
    for _ in range(BOUNDS.nesting):
        level = [
            value
            for holder in level
            for value in (holder.values() if type(holder) is dict else holder)
            if type(value) in _HOLDERS
        ]
        if not level:
            return False
    return True


def _sound(dataset: Dataset) -> Dataset:
    """The dataset, if its texts and names are of a reasonable size."""
    for item in dataset.fields:
        if len(item.name) > BOUNDS.identifier:
            raise ValueError(f"it declares a field of {len(item.name):,} characters")
    texts = [(name, len(dataset.meta(name))) for name in _DESCRIBED]
    texts += [(f.name, len(f.label) + len(f.description)) for f in dataset.fields]
    for name, length in texts:
        if length > BOUNDS.text:
            raise ValueError(f"the text of {name!r} has {length:,} characters")
    return dataset


def _refused(portal: str, dataset_id: str, reason: str) -> Dataset:
    # What cannot be seen is written out: without it the name may be that of an honest dataset.
    visible = _UNUSABLE.sub(lambda found: ascii(found[0])[1:-1], dataset_id)
    name = plain(visible, _SHOWN) or "(a dataset without a name)"
    return Dataset(
        portal, name, refused=f"{plain(reason, 2 * _SHOWN)}; ask the publisher to correct it"
    )


def _without_shared_uids(datasets: list[Dataset]) -> list[Dataset]:
    """The same datasets; a dataset_uid that several have is removed from all of them."""
    times = Counter(dataset.dataset_uid for dataset in datasets)
    shared = {uid for uid, number in times.items() if uid and number > 1}
    return [replace(d, dataset_uid="") if d.dataset_uid in shared else d for d in datasets]
