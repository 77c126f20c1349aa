"""What goes wrong with what is asked beside the rows, and what a catalog says that is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ods_pipeline.emulator import Fault
from tests.matrix.cells import ALL, EITHER, RIGHT, SAID, STALLED, WFS, Cell, cells, step
from tests.matrix.desk import Desk
from tests.matrix.towns import published, records

COUNT, DATASET, HITS = "/towns/records", r"/datasets/towns(\?|$)", "resultType=hits"
CATALOG = r"/catalog/(exports/json|datasets\?)"


def _questions() -> Iterator[Cell]:
    """Faults in what is asked beside the rows; some of it can be had in another way, or spared."""
    faults = {
        "cut": Fault.cut(15),
        "short by a byte": Fault.short_body(-1),
        "stalled": Fault.stall(STALLED),
        "empty": Fault.empty_body(),
        "html": Fault.html(),
        "error instead": Fault.error_instead(),
        "text instead": Fault.text_instead(),
        "error appended": Fault.appended_error(),
        "utf-16": Fault.charset("utf-16"),
        "gzip flipped": Fault.bad_gzip("flipped"),
        "status 503": Fault.status(503),
    }
    for what, match, lane in (
        ("count", COUNT, "csv"),
        ("dataset", DATASET, "csv"),
        ("catalog", CATALOG, "csv"),
        ("hits", HITS, "wfs1"),
    ):
        for name, fault in faults.items():
            yield from cells(f"{what} {name}", fault, (lane,), match=match, ever=EITHER)
    for by in (-2, 2):
        yield from cells(f"count off by {by}", Fault.miscount(by), match=COUNT)
        yield from cells(f"hits off by {by}", Fault.miscount(by), WFS, match=HITS)


def _counts_refused() -> Iterator[Cell]:
    """Who does not count gives the catalog's count; who has neither is not believed."""
    for name, fault in {
        "refused 400": Fault.refused(400),
        "refused 403": Fault.refused(403),
        "refused 404": Fault.refused(404),
        "refused 410": Fault.refused(410),
        "without a total": Fault.uncounted(),
    }.items():
        yield from cells(f"count {name}", fault, (*ALL, "wfs2"), match=COUNT, ever=RIGHT)
    wrong = _lie(records_count=7)
    fault = Fault.refused(403)
    lanes = ("parquet", "csv")
    yield from cells("no count at all", fault, lanes, match=COUNT, before=wrong, once=SAID)


def _caches() -> Iterator[Cell]:
    """Copies of before, and of other datasets, that something on the way gives for the export."""
    aged = Fault.header("age", "400000000")
    yield from cells("an old export", aged, ("parquet", "csv"), once=EITHER)
    other = Fault.header("content-disposition", 'attachment; filename="roads.csv"')
    yield from cells("of another dataset", other, ("parquet", "csv"))
    behind = Fault.behind(600)
    yield from cells("catalog is behind", behind, match="/catalog/exports/json", ever=RIGHT)


def _publishers() -> Iterator[Cell]:
    for name, match in (("count", COUNT), ("dataset", DATASET)):
        fault = Fault.meanwhile([step("publish", records=records(3))])
        yield from cells(
            f"published at the {name}", fault, ("csv",), ever=EITHER, match=match, truths=(3,)
        )


def _catalogs() -> Iterator[Cell]:
    for name, fault in (
        ("lacks half", Fault.fewer_datasets(1)),
        ("is empty", Fault.fewer_datasets(9)),
        ("lacks half and counts that", Fault.fewer_datasets(1, honest=True)),
    ):
        for where, match in (("catalog", "/catalog/exports/json"), ("every catalog", CATALOG)):
            yield from cells(
                f"{where} {name}", fault, ("csv",), match=match, once=EITHER, ever=EITHER
            )


def _lies() -> Iterator[Cell]:
    """What the catalog says and is not so; there is no request to spoil, nor a format to read."""
    told = partial(cells, fault=None, lanes=("csv", "wfs1"), ever=RIGHT)
    for count in (3, 999, None):
        yield from told(f"catalog counts {count}", before=_lie(records_count=count))
    yield from told("catalog counts 0", before=_lie(records_count=0), ever=EITHER)
    for name, stamp in {
        "too old": "1999-01-01T00:00:00+00:00",
        "null": None,
        "no date": "yesterday",
        "in the future": "2999-01-01T00:00:00+00:00",
    }.items():
        yield from told(f"date {name}", before=_lie(data_processed=stamp))
        both = _lie(data_processed=stamp, modified=stamp)
        yield from told(f"both dates {name}", before=both)
    yield from told("date moves alone", before=_moves_alone, publish=False)
    distrust = ("--max-trust-days", "0")
    yield from told("date never moves", before=_never, publish=False, words=distrust)
    yield from told("nothing ever moves", before=_nothing_moved, publish=False, words=distrust)
    yield from told("number made a text", before=_retyped)


def _lie(**untrue: Any) -> Callable[[Desk], object]:
    return lambda desk: desk.emulator.lie("towns", **untrue)


def _moves_alone(desk: Desk) -> None:
    desk.truths.append(published(records(1)))
    desk.emulator.republish("towns", shuffle=True)


def _never(desk: Desk) -> None:
    """The data move, and nothing that is told of them."""
    default = desk.emulator.state.dataset("towns").metas["default"]
    stamps = {name: default[name] for name in ("data_processed", "modified", "metadata_processed")}
    desk.publish(2)
    desk.emulator.lie("towns", **stamps)


def _nothing_moved(desk: Desk) -> None:
    desk.truths.append(published(records(1)))


def _retyped(desk: Desk) -> None:
    desk.emulator.retype("towns", "n", "text")
    texts = [{**row, "n": str(row["n"]) if "n" in row else None} for row in records(2)]
    desk.truths = [published(texts)]


ANSWERS = [*_questions(), *_counts_refused(), *_caches(), *_publishers(), *_catalogs(), *_lies()]
