"""The warehouse that is a PostgreSQL server: how a landed partition becomes a table of it.

A load is one transaction: rows go into a part that no reader knows, are indexed and analysed there,
and take the place of the old part at the end. What is decided for every engine is not here.

Views of users stay over a load. Where they use a column that would go or change its type, the table
stays as it was, and they are named.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow.parquet as pq

from ods_pipeline.errors import WarehouseError
from ods_pipeline.state.postgres import lock_number
from ods_pipeline.warehouse.comments import write_comments
from ods_pipeline.warehouse.landed import Column, Partition, refused, require_intact
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry, timed
from ods_pipeline.warehouse.names import (
    AS_IS,
    LOADS,
    LONGEST,
    STAGING,
    TableNames,
    fitting,
    quoted,
)
from ods_pipeline.warehouse.postgres import change, columns, tables
from ods_pipeline.warehouse.postgres.address import parse
from ods_pipeline.warehouse.postgres.columns import BYTEA, Target
from ods_pipeline.warehouse.postgres.connection import Session, plain
from ods_pipeline.warehouse.postgres.copying import Copied, copy, with_dimensions
from ods_pipeline.warehouse.postgres.encoder import OtherDimensions
from ods_pipeline.warehouse.protocol import LoadedTable
from ods_pipeline.warehouse.sql_warehouse import SqlWarehouse
from ods_pipeline.warehouse.table_state import TableState

# PostgreSQL has them in every table.
_SYSTEM = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
_SHORT = Column(
    name="short_name",
    field="",
    comment="Name of its table, where the identifier is too long for PostgreSQL",
)
_OLDEST = 130_000


class PostgresWarehouse(SqlWarehouse):
    """A database of a PostgreSQL server; several processes may load into it at once.

    Args:
        url: As libpq reads it; what it leaves out is in libpq's variables and files.
        names: What the schema and tables of the portal that is loaded are called.

    Raises:
        ConfigurationError: It is no URL of a server, or psycopg is not installed.
        WarehouseError: The server cannot be reached, or refuses.
    """

    _session: Session

    def __init__(self, url: str, names: TableNames = AS_IS) -> None:
        address = parse(url)
        super().__init__(Session(address), dataclasses.replace(names, longest=LONGEST))
        self._wkb = address.wkb
        self._postgis: str | None = None

    def check(self, portal: str) -> str:
        """See `Warehouse.check`: its schema is there or is made, and PostGIS is."""
        with self._session.failures(portal):
            ((version, number),) = self._session.run(
                "SELECT current_setting('server_version'), "
                "current_setting('server_version_num')::int"
            )
            if number < _OLDEST:
                raise WarehouseError(
                    f"{self._session.where} is PostgreSQL {version}; 13 is the oldest that can be "
                    "loaded into"
                )
            tables.require_schema(self._session, self._names.schema_of(portal))
            if self._wkb:
                return f"can be loaded: PostgreSQL {version}, geometries as bytes of WKB"
            self._schema_of_postgis()
            found = tables.postgis(self._session)
        return f"can be loaded: PostgreSQL {version}, PostGIS {found[1] if found else ''}"

    def loaded(self, portal: str) -> Mapping[str, LoadedTable]:
        """See `Warehouse.loaded`: long names as they are before they are shortened.

        A table whose geometries are kept in the other form is as good as not loaded.
        """
        found, whole = dict(super().loaded(portal)), dataclasses.replace(self._names, longest=0)
        schema = self._names.schema_of(portal)
        log = self._session.named(schema, LOADS)
        with self._session.failures(portal):
            # Nearly all bytes are geometries, and a load of others finds that nothing differs.
            for name in tables.having(self._session, schema, "geometry" if self._wkb else BYTEA):
                found.pop(name, None)
            long = found and self._session.run(
                f"SELECT DISTINCT dataset_id FROM {log} WHERE octet_length(dataset_id) > ?",
                LONGEST // 2,
            )
        for (dataset_id,) in long or ():
            for kind in ("records", "features"):
                short, name = (n.table_of(dataset_id, kind) for n in (self._names, whole))
                if short != name and short in found:
                    found[name] = found.pop(short)
        return found

    @contextmanager
    def _alone(self, partition: Partition) -> Iterator[None]:
        """Other loads of the table wait; the schema and its log are there for all of them."""
        schema = partition.schema
        with self._session.alone(schema, partition.table):
            if not self._session.exists(schema, LOADS):
                with self._session.transaction():
                    self._session.run(
                        "SELECT pg_catalog.pg_advisory_xact_lock(?)", lock_number("log", schema)
                    )
                    log = self._log(partition.receipt.portal)
                    log.make_schema()
                    log.make()
            yield

    def _adapted(self, partition: Partition, existing: Collection[str]) -> Partition:
        """The partition with names of columns that PostgreSQL can have."""
        old = super()._adapted(partition, existing).columns
        if partition.receipt.kind == "catalog" and _SHORT.name not in {c.name for c in old}:
            old = (*old, _SHORT)
        names = fitting([column.name for column in old], LONGEST, _SYSTEM, existing)
        renamed = [dataclasses.replace(c, name=n) for c, n in zip(old, names, strict=True)]
        return dataclasses.replace(partition, columns=tuple(renamed))

    def _is_kept_otherwise(self, partition: Partition, current: TableState) -> bool:
        """Whether only `?geometry=wkb` differs from when the table was loaded."""
        wanted = self._column_types(partition)
        geometries = {column.name for column in partition.columns if column.geometry}
        moved = {name for name, kind in wanted.items() if current.types.get(name) != kind}
        forms = ({wanted[name], current.types.get(name)} for name in moved)
        same = set(wanted) == set(current.types) and moved <= geometries
        return same and all(BYTEA in pair for pair in forms)

    def _targets(self, partition: Partition) -> tuple[Target, ...]:
        schema = pq.read_schema(partition.file)
        own = columns.targets(schema, partition.columns[: len(schema)], wkb=self._wkb)
        more = partition.columns[len(schema) :]
        return own + tuple(Target(column.name, columns.TEXT) for column in more)

    def _column_types(self, partition: Partition) -> Mapping[str, str]:
        current = self._session.types(partition.schema, partition.table) or {}
        wanted = {
            # Where dimensions differ from row to row, the type says nothing of what it holds.
            target.name: "geometry"
            if target.geometry and current.get(target.name) == "geometry"
            else plain(target.sql)
            for target in self._targets(partition)
        }
        log = self._log(partition.receipt.portal).newest(partition.table).get(partition.table)
        if current == wanted and log and log.version == partition.receipt.version:
            # The same columns in another order: new ones of a table that views keep come last.
            return current
        return wanted

    def _dependents(self, partition: Partition, current: TableState) -> tuple[str, ...]:
        views = tables.dependents(self._session, partition.schema, partition.table)
        key = tables.key_column(self._session, partition.schema, partition.table)
        return change.obstacles(current.types, self._column_types(partition), views, key)

    def _fill(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState | None,
        wanted: TableState,
        entry: LogEntry,
    ) -> str:
        targets = self._targets(partition)
        if current:
            before = self._session.exact_types(partition.schema, partition.table) or {}
            targets = columns.like(before, targets)
            current = self._with_comments(partition, current)
        try:
            copied = self._made(log, partition, targets, current, wanted, entry)
        except OtherDimensions:
            targets = with_dimensions(partition, targets)
            copied = self._made(log, partition, targets, current, wanted, entry)
        # Statistics of the whole, which PostgreSQL gathers for nobody by itself.
        self._session.run(f"ANALYZE {self._session.named(partition.schema, partition.table)}")
        return copied.note

    def _made(
        self,
        log: LoadLog,
        partition: Partition,
        targets: Sequence[Target],
        current: TableState | None,
        wanted: TableState,
        entry: LogEntry,
    ) -> Copied:
        session, schema, table = self._session, partition.schema, partition.table
        started = time.monotonic()
        types = {target.name: target.sql for target in targets}
        views = tables.dependents(session, schema, table) if current else ()
        before = session.exact_types(schema, table) if current else None
        sound = current is None or tables.is_divided(session, schema, table)
        way = change.way(before, types, views, sound=sound)
        if way in {change.Way.alter, change.Way.replace} and before:
            key = tables.key_column(session, schema, table)
            self._require_free(partition, change.obstacles(before, types, views, key))
        # With the schema that PostGIS is in, which need not be on anybody's path.
        qualified = {name: self._qualified(kind) for name, kind in types.items()}
        altered = before if way is change.Way.alter and before else {}
        gone = [name for name, kind in altered.items() if types.get(name) != kind]
        new = {n: kind for n, kind in qualified.items() if altered and altered.get(n) != types[n]}
        with session.transaction():
            whole = tables.unused_name(STAGING, table) if way is change.Way.replace else table
            if way in {change.Way.make, change.Way.replace}:
                tables.make_whole(session, schema, whole, qualified)
            like = table if way is change.Way.keep else ""
            part = tables.make_part(session, schema, table, qualified, like)
            copied = self._copied(partition, targets, session.named(schema, part))
            tables.index_part(session, schema, part, whole, gone, new)
            session.run(f"ANALYZE {session.named(schema, part)}")
            log.record(timed(entry, started))
            tables.exchange(session, schema, whole, part, gone, new)
            kept = way in {change.Way.keep, change.Way.alter}
            write_comments(session, schema, whole, current if kept else None, wanted)
            if way is change.Way.replace:
                tables.take_place(session, schema, whole, table)
        return copied

    def _copied(self, partition: Partition, targets: Sequence[Target], part: str) -> Copied:
        """Copy the rows, and prove that they are those of the file, which is whole."""
        with ThreadPoolExecutor(1, "checksum") as pool:
            # Computed beside the work of the server, and right before anything is committed.
            check = pool.submit(require_intact, partition)
            try:
                copied = copy(
                    self._session.connection, partition, targets, part, self._short(partition)
                )
            except OSError as error:
                check.result()
                raise refused(partition, f"{partition.path} cannot be read ({error})") from error
            check.result()
        if copied.rows != partition.receipt.rows:
            says = f"{copied.rows} rows came out of {partition.path}, whose receipt says "
            raise refused(partition, f"{says}{partition.receipt.rows}: fetch the dataset again")
        return copied

    def _short(self, partition: Partition) -> Mapping[str, Sequence[str | None]]:
        """The names of tables that had to be shortened, for the catalog."""
        if partition.receipt.kind != "catalog" or partition.columns[-1].field:
            return {}
        ids = pq.read_table(partition.file, columns=["dataset_id"]).column(0).to_pylist()
        whole = dataclasses.replace(self._names, longest=0)
        named = [(self._names.table_of(i, "records"), whole.table_of(i, "records")) for i in ids]
        return {partition.columns[-1].name: [n if n != long else None for n, long in named]}

    def _require_free(self, partition: Partition, views: tuple[str, ...]) -> None:
        if views:
            raise refused(
                partition,
                f"the geometries have other dimensions than before, and views use them as they are "
                f"({', '.join(views)}): the table stays as it was until these views are dropped",
            )

    def _qualified(self, kind: str) -> str:
        if not kind.startswith("geometry"):
            return kind
        return f"{quoted(self._schema_of_postgis())}.{kind}"

    def _schema_of_postgis(self) -> str:
        if self._postgis is None:
            found = tables.postgis(self._session)
            if found is None:
                raise WarehouseError(
                    f"{self._session.where} has no PostGIS: have its administrator run CREATE "
                    "EXTENSION postgis there, or add ?geometry=wkb to the URL, which keeps "
                    "geometries as bytes of WKB"
                )
            schema, _, usable = found
            if not usable:
                raise WarehouseError(
                    f"PostGIS is in the schema {schema} of {self._session.where}, which may not be "
                    f"used: have its owner run GRANT USAGE ON SCHEMA {quoted(schema)} TO PUBLIC"
                )
            self._postgis = schema
        return self._postgis
