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

    def _before(self, rows: int) -> tuple[int, int, str]:
        """Rows before and now that can be compared, and what they are.

        Where another `where` chose what is landed, the counts of the whole dataset are compared.
        """
        previous, table = self.previous, self.table
        if previous is None or self.dataset.dataset_uid not in {"", previous.dataset_uid}:
            return 0, rows, ""
        if previous.chosen_by == (table.where, table.lang, table.timezone):
            return previous.rows, rows, f"where {previous.rows} are landed, which stay"
        before, now = int(previous.records_count or 0), self.dataset.records_count
        stay = f"in all where it had {before}; what is landed stays"
        return (0, rows, "") if now is None else (before, now, stay)

    def frozen(self) -> HeldBack | None:
        """The reason not to take a dataset whose fields changed while it was read, if any."""
        contract = self.rules.contract(self.dataset.dataset_id)
        moved = self.previous and self.previous.schema_hash != self.dataset.schema_hash
        # Another wish of the user's was compared when the run was planned.
        same = self.previous and self.previous.filter == self.table.filter
        if contract != "freeze" or self.accept or not (moved and same):
            return None
        return self.held_back(
            "frozen",
            f"the publisher changed its fields just now; the contract is freeze: {ACCEPT}",
        )

    def guarded(self, rows: int) -> HeldBack | None:
        """The reason not to replace what is landed by so many rows, if any."""
        before, rows, stay = self._before(rows)
        if self.accept or not self.publish or not before:
            return None
        if not rows:
            return self.held_back("emptied", f"the portal now gives no rows {stay}; {ACCEPT}")
        if self.rules.shrunk(before, rows):
            return self.held_back("shrunk", f"the portal now gives {rows} rows {stay}; {ACCEPT}")
        return None

    def held_back(self, verdict: str, message: str) -> HeldBack:
        """The reason to keep what is landed, as an error."""
        where = {"portal": self.dataset.portal, "dataset": self.dataset.dataset_id}
        return HeldBack(verdict, message, **where)
