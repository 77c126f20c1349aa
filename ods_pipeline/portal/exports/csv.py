"""A CSV export as typed record batches, read in blocks that end where a record ends.

The blocks are cut here, because a single record (a coastline, say) can be larger than any fixed
block that a CSV reader is given. Splitting cells is left to Arrow, typing them to `tables`.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import SchemaMismatch, Unproven
from ods_pipeline.portal.exports.sample import sample
from ods_pipeline.portal.exports.sniffing import require_csv
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.limits import BOUNDS, require_number, require_size
from ods_pipeline.portal.query import ALL, Query, quoted_field
from ods_pipeline.redaction import excerpt
from ods_pipeline.tables.batches import map_ahead
from ods_pipeline.tables.columns import joiners
from ods_pipeline.tables.nested import LIST_SEPARATOR

DELIMITER = ";"
_BLOCK = 1 << 20
_NEAR = 1_000
_SAMPLE = 100
_MARK = "\ufeff"
_BOM = _MARK.encode()


def read(
    chunks: Iterable[bytes],
    kinds: Mapping[str, pa.DataType] = MappingProxyType({}),
    declared: Collection[str] = (),
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The header of a CSV export, and its rows as text.

    Args:
        chunks: The body: UTF-8 with or without BOM, `;` between cells, `"` around those that need
            it, every record ended by a line break.
        kinds: Types that columns may be read as at once, instead of as texts first; they are read
            as texts all the same where Arrow cannot read one of them so.
        declared: Names of the fields; one of them may begin with a byte order mark.

    Returns:
        A schema whose columns are all `string`, and the batches, in which those of `kinds` may be
        of their types.

    Raises:
        Unproven: The body ends inside a record, or a record has another number of cells than the
            header, or the text is not UTF-8; most of these while the batches are read.
        SchemaMismatch: The header names a column twice.
        DataError: A record or the header is larger than any honest one.
    """
    blocks = _blocks(require_csv(chunks))
    opening = next(blocks, b"")
    first = opening.removeprefix(_BOM)
    if not first.strip():
        raise Unproven("the CSV export is empty: not even a header came")
    names, length = _header(first)
    if len(set(names)) < len(names) and _MARK + names[0] in declared:
        # The mark is part of the first name, and all that tells it from another.
        first = opening
        names, length = _header(first)
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise SchemaMismatch(f"the CSV export has the column {repeated[0]!r} more than once")
    schema = pa.schema([(name, pa.string()) for name in names])
    rest = itertools.chain([first[length:]] if len(first) > length else [], blocks)
    return schema, map_ahead(_Splitter(schema, kinds), rest)


def _header(block: bytes) -> tuple[list[str], int]:
    """Column names, and the number of bytes that the header takes."""
    try:
        lines = io.StringIO(block.decode(), newline="")
    except UnicodeDecodeError as error:
        raise Unproven(f"the CSV export is not UTF-8: {error.reason}") from error
    try:
        names = next(csv.reader(lines, delimiter=DELIMITER))
    except csv.Error as error:
        raise Unproven(f"the CSV export's header cannot be read: {error}") from error
    if not names:
        raise Unproven("the CSV export begins with an empty line where its header should be")
    require_number("the CSV export", len(names), BOUNDS.columns, "columns")
    length = len(lines.getvalue()[: lines.tell()].encode())
    require_size("the header of the CSV export", length, BOUNDS.header)
    return names, length


class _Splitter:
    """Splits blocks into columns, from several threads.

    Args:
        texts: All columns as text.
        kinds: Types that some may be read as at once.
    """

    def __init__(self, texts: pa.Schema, kinds: Mapping[str, pa.DataType]) -> None:
        self._texts = texts
        typed = [pa.field(item.name, kinds.get(item.name, item.type)) for item in texts]
        self._kinds = pa.schema(typed)

    def __call__(self, block: bytes) -> pa.RecordBatch:
        if block.startswith(_BOM):
            # Part of a value (the header's is gone by now), and Arrow drops one from each block.
            block = _BOM + block
        if self._kinds != self._texts:
            try:
                batch = _split(block, self._kinds)
                if not _infinite(batch):
                    return batch
            except pa.ArrowInvalid:
                pass
            # If one block has such texts others have them: do not try twice for each block.
            self._kinds = self._texts
        try:
            return _split(block, self._texts)
        except pa.ArrowInvalid as error:
            # Without the error of Arrow behind it, which may show a whole row with a secret in it.
            reason = excerpt(str(error).splitlines()[0], 200)
            raise Unproven(f"the CSV export breaks its own structure: {reason}") from None


def _infinite(batch: pa.RecordBatch) -> bool:
    """Whether Arrow made an infinite number, which it does of 1e400 too: its text has to tell."""
    return any(
        pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py()
        for column in batch.columns
    )


def _split(block: bytes, schema: pa.Schema) -> pa.RecordBatch:
    table = pacsv.read_csv(
        pa.BufferReader(block),
        read_options=pacsv.ReadOptions(
            use_threads=False, column_names=schema.names, block_size=len(block) + 1
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=DELIMITER, newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=False,
            quoted_strings_can_be_null=True,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of some megabytes that end with a record's line break."""
    waiting: list[bytes] = []
    size, seen, wanted = 0, 0, _BLOCK
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size < wanted:
            continue
        block = b"".join(waiting)
        end = _end_of_record(block, seen)
        if end:
            yield block[:end]
        waiting, size = [block[end:]], len(block) - end
        require_size("a record of the CSV export", size, BOUNDS.record)
        # A record longer than the block: wait for twice as much before looking again.
        wanted = min(2 * size, BOUNDS.record + 1) if not end else _BLOCK
        seen = 0 if end else size
    rest = b"".join(waiting)
    if _end_of_record(rest) != len(rest):
        raise Unproven("the CSV export ends in the middle of a record: it was cut off")
    if rest:
        yield rest


def _end_of_record(block: bytes, seen: int = 0) -> int:
    """Length of the part that ends with the last line break outside quotes; 0 without one.

    Args:
        block: Text that begins with a record.
        seen: Bytes at its beginning in which no record ends, as an earlier call showed.
    """
    quotes, upper = block.count(b'"'), len(block)
    newline = block.rfind(b"\n", seen)
    for _ in range(_NEAR):
        if newline < 0:
            return 0
        end = newline + 1
        quotes -= block.count(b'"', end, upper)
        if quotes % 2 == 0:
            return end
        upper, newline = end, block.rfind(b"\n", seen, newline)
    return _far_end(block, seen, upper, quotes)


def _far_end(block: bytes, seen: int, upper: int, quotes: int) -> int:
    """The same where a cell holds very many line breaks; searched a megabyte at a time."""
    for stop in range(upper, seen, -_BLOCK):
        start = max(seen, stop - _BLOCK)
        piece = np.frombuffer(block, np.uint8, stop - start, start)
        marks = piece == ord('"')
        quotes -= int(np.count_nonzero(marks))
        # Sums that overflow stay odd or even.
        inside = (np.cumsum(marks, dtype=np.uint8) + quotes % 2) % 2
        ends = np.flatnonzero((piece == ord("\n")) & (inside == 0))
        if ends.size:
            return start + int(ends[-1]) + 1
    return 0


def check_lists(
    raw: Iterator[pa.RecordBatch],
    client: Client,
    dataset: Dataset,
    lists: Sequence[tuple[str, Field]],
    query: Query = ALL,
) -> Iterator[pa.RecordBatch]:
    """The same batches; after the last one, check that the portal used our separator of lists.

    Portals join the values of a list without escaping, so a separator is requested that text does
    not hold. A portal that ignores it gives `a,b` for two values and for one. Where that is
    possible some records are read by the API, in which lists are lists.

    Args:
        raw: A CSV export as text.
        client: The client of the portal.
        dataset: The dataset.
        lists: Its multivalued fields, each after its column's name.
        query: Which records the export is of.

    Raises:
        Unproven: The portal ignored the separator.
    """
    separated: set[str] = set()
    doubtful: set[str] = set()
    for batch in raw:
        for name, field in lists:
            column = batch.column(name)
            if pc.any(pc.match_substring(column, LIST_SEPARATOR)).as_py():
                separated.add(field.name)
            elif any(pc.any(pc.match_substring(column, text)).as_py() for text in joiners(field)):
                doubtful.add(field.name)
        yield batch
    for name in sorted(doubtful - separated):
        if _holds_several(client, dataset, name, query):
            raise Unproven(
                f"the portal joins the values of field {name!r} with text that they may hold "
                "themselves, and ignores the separator that was requested",
                portal=client.slug,
                dataset=dataset.dataset_id,
            )


def _holds_several(client: Client, dataset: Dataset, name: str, query: Query) -> bool:
    field = quoted_field(name)
    filled = query.narrowed(f"{field} is not null").filters()
    wanted = {**filled, "select": field, "limit": _SAMPLE}
    values = [record.get(name) for record in sample(client, dataset, wanted)]
    return any(isinstance(value, list) and len(value) > 1 for value in values)
