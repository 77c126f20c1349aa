"""What goes wrong with the reply that has the rows: on the wire, in its body, in the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ods_pipeline.emulator import Fault
from tests.matrix.cells import ALL, EITHER, RIGHT, SAID, STALLED, WFS, Cell, cells, step
from tests.matrix.towns import records

RECORDS = ("parquet", "csv")
TEXT = ("csv", "wfs1")
PUBLISH = [step("publish", records=records(3))]
# Two days: the suite may run over midnight.
TOMORROW = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT00:00:00Z")
NEXT_MONTH = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m-01T00:00:00Z")


def _connections() -> Iterator[Cell]:
    yield from cells("cut early", Fault.cut(20))
    yield from cells("cut in the middle", Fault.cut(250), (*ALL, "pages"))
    yield from cells("cut before the last byte", Fault.cut(-1))
    yield from cells("cut before the end of the message", Fault.cut(10**6))
    yield from cells("reset", Fault.reset())
    yield from cells("reset in the middle", Fault.reset(after_bytes=250))
    yield from cells("stall", Fault.stall(STALLED))
    yield from cells("stall in the middle", Fault.stall(STALLED, after_bytes=250))
    yield from cells("slow trickle", Fault.slow(20_000), ever=RIGHT)
    yield from cells("slower than is allowed", Fault.slow(300))
    yield from cells("length too large", Fault.content_length(7))
    # Of a packed body it is the checksum that is missing, and not a byte of the text.
    yield from cells("length too small", Fault.content_length(-7), ever=EITHER)


def _bodies() -> Iterator[Cell]:
    yield from cells("clean but short early", Fault.short_body(40))
    yield from cells("clean but short in the middle", Fault.short_body(700))
    # The last byte of GML is a line break.
    yield from cells("clean but short by a byte", Fault.short_body(-1), RECORDS)
    yield from cells("clean but short by some bytes", Fault.short_body(-9))
    yield from cells("clean but short as packed", Fault.short_body(250, packed=True))
    yield from cells("nothing", Fault.empty_body(), (*ALL, "pages"))
    yield from cells("html", Fault.html())
    yield from cells("html under the type of data", Fault.html(as_data=True))
    yield from cells("error instead", Fault.error_instead())
    yield from cells("text instead", Fault.text_instead())
    yield from cells("error appended", Fault.appended_error())
    yield from cells("text appended", Fault.appended_text())
    yield from cells("text appended without an end", Fault.appended_text("error 500"))
    yield from cells("text of one row appended", Fault.appended_text("error;;;;;;;\r\n"), ("csv",))
    for damage in ("truncated", "checksum", "flipped", "none", "untold"):
        # As above: a packed body without its checksum may be whole.
        ever = EITHER if damage == "truncated" else SAID
        yield from cells(f"gzip {damage}", Fault.bad_gzip(damage), ever=ever)
    for name in ("latin-1", "utf-16"):
        # XML in UTF-16 says so by its first bytes, whatever its declaration says.
        fair = EITHER if name == "utf-16" else SAID
        yield from cells(f"{name} untold", Fault.charset(name), TEXT, ever=fair)
        # Who says so means it: asking again is no use.
        told = Fault.charset(name, told=True)
        yield from cells(f"{name} told", told, TEXT, once=EITHER, ever=EITHER)
    yield from cells("latin-1 within", Fault.charset("latin-1"), ("parquet",))


def _rows() -> Iterator[Cell]:
    every = (*RECORDS, *WFS, "pages")
    for name, missing in (("rows missing", 3), ("one row missing", 1)):
        yield from cells(name, Fault.short_rows(missing), (*RECORDS, *WFS))
        # What the pages lack is had by bounding boxes.
        yield from cells(name, Fault.short_rows(missing), ("pages",), ever=EITHER)
    yield from cells("rows missing and honest", Fault.short_rows(3, honest=True), WFS)
    yield from cells("no rows", Fault.header_only(), every)
    yield from cells("no rows and honest", Fault.header_only(honest=True), WFS)
    yield from cells("a row twice", Fault.doubled(), every)
    # A row that comes twice in place of another, with the right count, is in no cell: nothing that
    # a portal gives tells it from a true duplicate. docs/trust.md says so.
    yield from cells("rows of two versions", Fault.torn(PUBLISH, 5), every, truths=(3,))
    for where in ("last", "between"):
        fault = Fault.empty_row_groups(where)
        yield from cells(f"empty row groups {where}", fault, ("parquet",), ever=RIGHT)
    yield from cells("empty row groups all", Fault.empty_row_groups("all"), ("parquet",))
    yield from cells("report at the beginning", Fault.exception_report(0), WFS)
    yield from cells("report amid", Fault.exception_report(2), (*WFS, "pages"))
    yield from cells("report at the end", Fault.exception_report(4, ends=False), WFS)


def _columns() -> Iterator[Cell]:
    """Columns that differ for once cost a second download where a publisher may be at work.

    A value of another type hardly ever passes, so that either end is fair.
    """
    yield from cells("column duplicate", Fault.column("duplicate", "n"), once=EITHER)
    yield from cells("column extra", Fault.column("extra", "n"), ever=RIGHT)
    for change in ("missing", "renamed"):
        fault = Fault.column(change, "n")
        # What the one export lacks, the other has.
        yield from cells(f"column {change}", fault, ("parquet",), ever=RIGHT)
        yield from cells(f"column {change}", fault, ("csv", "wfs1"))
    yield from cells("no number", Fault.column("wrong", "n"), once=EITHER)
    yield from cells("no date", Fault.column("wrong", "seen"), once=EITHER)
    for name, fault in (
        ("code as int", Fault.column("retyped", "code", "int")),
        ("int as double", Fault.column("retyped", "n", "double")),
    ):
        yield from cells(name, fault, ("parquet",), once=EITHER)
    # The same values in another guise may be taken for what they are.
    as_text = Fault.column("retyped", "n", "text")
    yield from cells("int as text", as_text, ("parquet",), once=EITHER, ever=EITHER)


def _refusals() -> Iterator[Cell]:
    for status in (500, 502, 503):
        yield from cells(f"status {status}", Fault.status(status), (*ALL, "pages"))
    yield from cells("429 of the web server", Fault.status(429))
    yield from cells("429 for no time", Fault.quota(retry_after=0))
    # Waiting for what is not said, or for tomorrow, is not for a run to do.
    yield from cells("429 without a date", Fault.quota(reset=""), once=EITHER)
    yield from cells("429 until tomorrow", Fault.quota(TOMORROW), once=SAID)
    yield from cells("429 until next month", Fault.quota(NEXT_MONTH, "month"), once=SAID)


def _publishers() -> Iterator[Cell]:
    """Who reads while others write has what there was at a moment, or nothing new."""
    publish = Fault.meanwhile(PUBLISH, after_bytes=250)
    yield from cells("published amid", publish, (*ALL, "pages"), ever=EITHER, truths=(3,))
    again = Fault.meanwhile([step("republish", shuffle=True)], after_bytes=100)
    yield from cells("published again amid", again, ever=EITHER)
    for name, change in (
        ("withdrawn", step("withdraw")),
        ("restricted", step("restrict")),
        ("emptied", step("publish", records=[])),
    ):
        fault = Fault.meanwhile([change], after_bytes=100)
        yield from cells(f"{name} amid", fault, once=EITHER, ever=EITHER)


ROWS = [
    *_connections(),
    *_bodies(),
    *_rows(),
    *_columns(),
    *_refusals(),
    *_publishers(),
]
