"""How many records an exported file holds, counted by readers that others keep well.

A file that breaks off is no file of fewer records: each reader goes through all of it. What none of
them counts is looked at by `export_documents`. What follows from a count belongs to `file_export`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.http.limits import BOUNDS
from ods_pipeline.sync import export_documents, json_text

Counter = Callable[[Path], int | None]
#: What the API writes between cells where nothing else is asked for.
DELIMITER = ";"


def count(path: Path, format: str, *, delimiter: str = DELIMITER) -> int | None:
    """The records in an exported file; None where nothing here counts its format.

    Args:
        path: The file.
        format: The portal's name of the format.
        delimiter: What the portal was asked to write between cells (CSV).

    Raises:
        Unproven: The file is not whole, or is no file of the format.
    """
    if format == "csv":
        return _csv(path, delimiter)
    counter = _COUNTERS.get(format)
    if counter:
        return counter(path)
    export_documents.require_whole(path, format)
    return None


def _csv(path: Path, delimiter: str) -> int:
    # The reader's own limit is shorter than the outline of a country.
    csv.field_size_limit(BOUNDS.record)
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            columns = len(next(rows, ()))
            found = 0
            for row in rows:
                # A line of nothing is a record too where its only cell has no value.
                if (len(row) or 1) != columns:
                    raise Unproven(
                        f"record {found + 1} of the CSV export has {len(row)} cells where its "
                        f"header has {columns}: it was cut off"
                    )
                found += 1
        except (csv.Error, TypeError, UnicodeDecodeError) as error:
            raise Unproven(f"the CSV export cannot be read to its end: {error}") from error
    if not columns:
        raise Unproven("the CSV export is empty: not even a header came")
    with path.open("rb") as body:
        body.seek(-1, 2)
        if body.read() not in b"\r\n":
            raise Unproven("the CSV export ends in the middle of a record: it was cut off")
    return found


def _jsonl(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                found += 1
                try:
                    json.loads(line)
                except ValueError as error:
                    raise Unproven(f"line {found} of the export is no JSON: {error}") from error
    return found


def _json(path: Path) -> int:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        try:
            found = connection.execute(
                "SELECT count(*) FROM read_json_objects(?, format = 'array', "
                "maximum_object_size = 268435456)",
                [str(path)],
            ).fetchone()
        except duckdb.Error as error:
            # It refuses some whole documents too; the slower reader has the last word.
            return _listed(path, str(error).splitlines()[0])
    return int(found[0]) if found else 0


def _listed(path: Path, reason: str) -> int:
    found = json_text.parts(path)
    if found is None:
        raise Unproven(f"the JSON export cannot be read to its end: {reason}")
    return found


def _xml(counter: Counter) -> Counter:
    def counted(path: Path) -> int | None:
        export_documents.require_xml(path)
        return counter(path)

    return counted


def _shp(path: Path) -> int | None:
    # GDAL finds the files of an archive without its end, and reads no checksum.
    export_documents.require_archive(path)
    return _layers("/vsizip/{{{}}}")(path)


def _parquet(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ods_pipeline.tables.batches import read_batches

    try:
        with pq.ParquetFile(path) as file:
            return sum(batch.num_rows for batch in read_batches(file))
    except (OSError, pa.ArrowException) as error:
        raise Unproven(f"the Parquet export cannot be read to its end: {error}") from error


def _layers(place: str = "{}", leaving: frozenset[str] = frozenset()) -> Counter:
    """Counts what GDAL reads of the layers of a file.

    Args:
        place: How GDAL names it; an archive in braces may have any name.
        leaving: Names of layers that hold parts of records.
    """

    def counted(path: Path) -> int:
        import pyogrio

        where = place.format(path.resolve())
        try:
            names = [str(name) for name, *_ in pyogrio.list_layers(where)]
            return sum(_rows(where, name) for name in names if name not in leaving)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
            raise Unproven(f"GDAL cannot read the export to its end: {error}") from error

    return counted


def _rows(place: str, layer: str) -> int:
    from pyogrio.raw import open_arrow

    with open_arrow(place, layer=layer, use_pyarrow=True) as (_, reader):
        return sum(batch.num_rows for batch in reader)


_COUNTERS: Mapping[str, Counter] = {
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "geojson": _layers(),
    "fgb": _layers(),
    "kml": _xml(_layers()),
    # GDAL gives the points of a line once more, as layers of their own.
    "gpx": _xml(_layers(leaving=frozenset({"route_points", "track_points"}))),
    "shp": _shp,
    "xlsx": export_documents.rows_of_workbook,
    "ov2": export_documents.points_of_ov2,
}
