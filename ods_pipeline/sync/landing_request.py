"""What to land and under which rules, and what came of it: values alone.

Fetching, proving and publishing belong to `landing` and `proving`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import HeldBack
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import RECORDS, Extractor
from ods_pipeline.sync.rules import DEFAULT, Rules, TableRules

#: What a person is to do about rows that are held back.
ACCEPT = "look at it, and accept it if it is right"


@dataclass(frozen=True)
class LandingResult:
    """What came of landing one dataset.

    Attributes:
        receipt: The receipt in the partition's footer.
        changed: Whether rows or columns differ from what was landed before. False where the
            portal's date moved and the content did not.
        bytes: Size of what was received, unpacked.
        seconds: Wall time.
    """

    receipt: Receipt
    changed: bool
    bytes: int
    seconds: float


@dataclass(frozen=True)
class LandingRequest:
    """What to land, and under which rules.

    Attributes:
        dataset: As the catalog describes it.
        extractor: How its rows are fetched.
        previous: Receipt of what is landed, which new rows are compared with.
        rules: How the portal is trusted.
        accept: Whether a person accepts rows that would otherwise be held back.
        publish: False to compare only, and leave the partition as it is.
        on_bytes: Called with the size of each piece that arrives.
    """

    dataset: Dataset
    extractor: Extractor = RECORDS
    previous: Receipt | None = None
    rules: Rules = DEFAULT
    accept: bool = False
    publish: bool = True
    on_bytes: Callable[[int], object] = lambda size: None

    @property
    def table(self) -> TableRules:
        """What a user has decided for the dataset."""
        return self.rules.table(self.dataset.dataset_id)

    @property
    def comparable(self) -> bool:
        """Whether what is landed was asked for by the same filter."""
        return self.previous is not None and self.previous.filter == self.table.filter

    def frozen(self) -> HeldBack | None:
        """The reason not to take a dataset whose fields changed while it was read, if any."""
        contract = self.rules.contract(self.dataset.dataset_id)
        moved = self.previous and self.previous.schema_hash != self.dataset.schema_hash
        if contract != "freeze" or self.accept or not (moved and self.comparable):
            return None
        return self.held_back(
            "frozen",
            f"the publisher changed its fields just now; the contract is freeze: {ACCEPT}",
        )

    def guarded(self, rows: int) -> HeldBack | None:
        """The reason not to replace what is landed by so many rows, if any."""
        same = self.previous and self.dataset.dataset_uid in {"", self.previous.dataset_uid}
        before = self.previous.rows if self.previous and same and self.comparable else 0
        if self.accept or not self.publish or not before:
            return None
        stay = f"where {before} are landed, which stay"
        if not rows:
            return self.held_back("emptied", f"the portal now gives no rows {stay}; {ACCEPT}")
        if self.rules.shrunk(before, rows):
            return self.held_back("shrunk", f"the portal now gives {rows} rows {stay}; {ACCEPT}")
        return None

    def held_back(self, verdict: str, message: str) -> HeldBack:
        """The reason to keep what is landed, as an error."""
        where = {"portal": self.dataset.portal, "dataset": self.dataset.dataset_id}
        return HeldBack(verdict, message, **where)
