"""What has landed, found by the names that people type: portals, datasets, their files.

Nothing is asked of a portal. Rows in the forms of other libraries belong to `warehouse`, the
decision what lands to `sync`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import get_args

from ods_pipeline.dataset import instant
from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.holds import Hold, read_holds
from ods_pipeline.lake.lake import Lake, PartitionKind, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.markup import card, facts, plain, table

_NEAR, _LISTED = 5, 10
_ALIKE = 0.5
_SHOWN = 60


@dataclass(frozen=True, repr=False)
class LandedDataset:
    """A dataset's records or features as they have landed.

    Attributes:
        portal: The portal's name on disk.
        dataset_id: Its identifier.
        kind: `records` or `features`.
        title: Its title, in one line; else its identifier.
        rows: Rows in its file.
        data_as_of: When the portal last processed them; None where it does not say.
        path: The file.
        receipt: What the file says of itself.
    """

    portal: str
    dataset_id: str
    kind: PartitionKind
    title: str
    rows: int
    data_as_of: datetime | None
    path: LakePath
    receipt: Receipt = field(compare=False)

    @classmethod
    def of(cls, lake: Lake, kind: PartitionKind, known: Receipt) -> LandedDataset:
        """The dataset of a receipt."""
        return cls(
            lake.root.name,
            known.dataset_id,
            kind,
            plain(known.title) or plain(known.dataset_id),
            known.rows,
            instant(known.data_processed),
            lake.partition(kind, known.dataset_id),
            known,
        )

    @property
    def as_of(self) -> str:
        """When the portal last processed the rows, to the minute in UTC; empty if it never did."""
        return f"{self.data_as_of:%Y-%m-%d %H:%M}" if self.data_as_of else ""

    def __repr__(self) -> str:
        """Identifier, kind, title and rows."""
        names = f"{plain(self.dataset_id, _SHOWN)!r}, {self.kind!r}, {plain(self.title, _SHOWN)!r}"
        return f"LandedDataset({names}, {self.rows:,} rows)"

    def _repr_html_(self) -> str:
        about = {
            "dataset": self.dataset_id,
            "portal": self.portal,
            "rows": f"{self.rows:,} {self.kind}",
            "data as of": self.as_of,
            "proof": self.receipt.proof,
            "publisher": self.receipt.publisher,
            "licence": self.receipt.license,
            "file": str(self.path),
        }
        return card(self.title, facts(about))


class LandedDatasets(list[LandedDataset]):
    """What has landed, as any list."""

    def __repr__(self) -> str:
        """How many, and the first of them."""
        first = ", ".join(repr(item.dataset_id) for item in self[:3])
        more = ", …" if len(self) > 3 else ""
        return f"<{len(self):,} landed: {first}{more}>" if self else "<nothing landed>"

    def _repr_html_(self) -> str:
        several = len({item.portal for item in self}) > 1
        heads = ("portal", "dataset", "kind", "title", "rows", "data as of")
        rows = (
            (d.portal, d.dataset_id, d.kind, d.title, f"{d.rows:,}", d.as_of)[not several :]
            for d in self
        )
        return card(f"{len(self):,} landed", table(heads[not several :], rows))


def portals(data_dir: LakePath) -> list[str]:
    """The portals of which something has landed below a data folder, by their names on disk."""
    if isinstance(data_dir, ObjectPath):
        return [name for name in (data_dir / "lake").folders() if not name.startswith(".")]
    # By name: beside them are hidden folders, and perhaps somebody's own files.
    kinds = ("catalog", *(f"{kind}/*" for kind in get_args(PartitionKind)))
    found = {path for kind in kinds for path in (data_dir / "lake").glob(f"*/{kind}.parquet")}
    depth = len((data_dir / "lake").parts)
    return sorted({path.parts[depth] for path in found})


def chosen(data_dir: LakePath, portal: str = "") -> str:
    """The portal that is meant.

    Args:
        data_dir: The data folder.
        portal: Its name on disk; the only one without it.

    Raises:
        ConfigurationError: Nothing has landed, of this portal or at all, or it could be several.
    """
    found = portals(data_dir)
    if not found:
        raise ConfigurationError(
            f"nothing has landed in {data_dir} yet: fetch something with "
            "`ods-pipeline --portal DOMAIN sync DATASET`, or name another data folder"
        )
    if portal in found:
        return portal
    if portal:
        raise ConfigurationError(
            f"nothing of {portal} has landed in {data_dir}; name another portal, {_listed(found)}"
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"several portals have landed in {data_dir}; name one of them, {_listed(found)}"
        )
    return found[0]


def landed(data_dir: LakePath, portal: str = "") -> LandedDatasets:
    """What has landed of a portal, or of all portals, in the order of names."""
    found = [
        LandedDataset.of(lake, kind, known)
        for name in ([portal] if portal else portals(data_dir))
        for lake in [Lake.of(data_dir, name)]
        for kind in get_args(PartitionKind)
        for known in lake.receipts(kind).values()
    ]
    found.sort(key=lambda item: (item.portal, item.dataset_id, item.kind != "records"))
    return LandedDatasets(found)


def held(found: Sequence[LandedDataset]) -> dict[LakePath, Hold]:
    """The holds of what has landed, by the files that stay.

    Raises:
        LakeError: No more files may be opened.
    """
    # The folder of the portal is two above the file.
    roots = {item.path: item.path.parents[1] for item in found}
    of_portals = {root: read_holds(Lake(root)) for root in set(roots.values())}
    holds = {
        item.path: of_portals[roots[item.path]].get((item.kind, item.dataset_id)) for item in found
    }
    return {path: hold for path, hold in holds.items() if hold}


def partition(
    data_dir: LakePath, dataset_id: str, kind: PartitionKind = "records", portal: str = ""
) -> LandedDataset:
    """A dataset that has landed.

    Args:
        data_dir: The data folder.
        dataset_id: Its identifier.
        kind: `records` or `features`.
        portal: The portal's name on disk; the only one without it.

    Raises:
        ConfigurationError: It has not landed; or the portal is not clear.
        LakeError: Its file is damaged.
    """
    lake = Lake.of(data_dir, chosen(data_dir, portal))
    path = lake.partition(kind, dataset_id)
    known = receipt(path)
    if known:
        return LandedDataset.of(lake, kind, known)
    if path.exists():
        raise LakeError(
            f"{path} is damaged; delete it and sync {dataset_id} again", dataset=dataset_id
        )
    raise ConfigurationError(_unknown(lake, dataset_id, kind), dataset=dataset_id)


def _unknown(lake: Lake, dataset_id: str, kind: PartitionKind) -> str:
    """Why there is no such partition, with what is probably meant."""
    if kind == "features" and lake.partition("records", dataset_id).exists():
        return (
            f"{dataset_id} has landed as records alone; fetch its layer with "
            f"`ods-pipeline sync {dataset_id} --features`"
        )
    known = lake.receipts(kind)
    renamed = [name for name, found in known.items() if dataset_id in found.former_names]
    if renamed:
        return f"{dataset_id} is called {renamed[0]} now"
    near = _nearest(dataset_id, known)
    advice = f"did you mean {_listed(near)}?" if near else f"landed are {_some(known)}"
    layer = "" if kind == "records" else " as a layer"
    return f"{dataset_id} has not landed{layer}; {advice}"


def _nearest(name: str, names: Iterable[str]) -> list[str]:
    """Names that are like one, or that have it in them; the most alike first."""
    spelled = {known.lower(): known for known in names}
    typed = name.lower()
    alike = get_close_matches(typed, spelled, _NEAR, _ALIKE)
    within = sorted(known for known in spelled if typed and (typed in known or known in typed))
    same = [typed] if typed in spelled else []
    return [spelled[known] for known in dict.fromkeys([*same, *within, *alike])][:_NEAR]


def _listed(names: list[str], word: str = "or") -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    first, more = found[:_LISTED], len(found) - _LISTED
    if more > 0:
        return f"{', '.join(first)} and {more} more"
    return _listed(first, "and") if first else "none"
