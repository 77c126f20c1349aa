"""Statements on tables: a table that readers know, and the one part of it that holds the rows.

To replace the rows, the old part is detached and a new one attached, which takes milliseconds; the
table itself stays, with its grants and comments and the views over it. Rows are copied elsewhere,
and what is to be done is decided elsewhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse.names import LONGEST, quoted, shortened
from ods_pipeline.warehouse.postgres.change import Dependent, key_of
from ods_pipeline.warehouse.postgres.connection import Session

_EXTENSION = """
    SELECT n.nspname, e.extversion, pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'postgis'
"""
_HAVING = """
    SELECT DISTINCT c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = ? AND t.typname = ? AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attnum > 0 AND NOT a.attisdropped
"""
_VIEWS = """
    SELECT n.nspname || '.' || v.relname, array_agg(DISTINCT a.attname::text)
        FILTER (WHERE a.attname IS NOT NULL)
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a
        ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attnum > 0
    WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
        AND d.refclassid = 'pg_catalog.pg_class'::regclass
        AND d.refobjid = ?::bigint::oid AND v.oid <> ?::bigint::oid
    GROUP BY 1 ORDER BY 1
"""
_PARTS = """
    SELECT c.relname FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
    WHERE i.inhparent = ?::bigint::oid AND p.relkind = 'p' AND c.relnamespace = p.relnamespace
    ORDER BY 1
"""
_IS_DIVIDED = "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = ?::bigint::oid"
_KEY = """
    SELECT a.attname FROM pg_catalog.pg_partitioned_table t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
    WHERE t.partrelid = ?::bigint::oid
"""
# The definition after the table's name, which is the part's in place of the whole's.
_INDEXES = """
    SELECT i.indisunique, substr(pg_catalog.pg_get_indexdef(x.oid),
        length(format('CREATE %sINDEX %I ON ONLY %I.%I ',
            CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname, n.nspname, c.relname))
        + 1),
        ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey) OR a.attnum IN (
                SELECT d.refobjsubid FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.oid
                    AND d.refobjid = i.indrelid)))
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indrelid = ?::bigint::oid AND x.relkind = 'I' ORDER BY x.relname
"""
_GRANTS = """
    SELECT g.privilege_type, g.is_grantable,
        CASE WHEN g.grantee = 0 THEN 'PUBLIC'
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END
    FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) g
    WHERE c.oid = ?::bigint::oid AND g.grantee <> c.relowner
"""


def postgis(session: Session) -> tuple[str, str, bool] | None:
    """The schema that PostGIS is in, its version, and whether it may be used; None without it."""
    found = session.run(_EXTENSION)
    return (str(found[0][0]), str(found[0][1]), bool(found[0][2])) if found else None


def having(session: Session, schema: str, kind: str) -> frozenset[str]:
    """The tables of a schema that have a column of a type, whatever schema the type is in."""
    return frozenset(name for (name,) in session.run(_HAVING, schema, kind))


def dependents(session: Session, schema: str, table: str) -> tuple[Dependent, ...]:
    """The views that depend on a table, in any schema."""
    number = session.oid(schema, table)
    if number is None:
        return ()
    found = session.run(_VIEWS, number, number)
    return tuple(Dependent(name, frozenset(columns or ())) for name, columns in found)


def key_column(session: Session, schema: str, table: str) -> str:
    """The column that a table is divided by; empty if it is not divided by one."""
    found = session.run(_KEY, session.oid(schema, table))
    return str(found[0][0]) if found else ""


def is_divided(session: Session, schema: str, table: str) -> bool:
    """Whether the rows of a table are in parts of it that can be replaced."""
    return session.run(_IS_DIVIDED, session.oid(schema, table)) == [(True,)]


def unused_name(kind: str, table: str) -> str:
    """A name that no other table has, nor another load of the same one."""
    return f"{shortened(f'{kind}_{table}', LONGEST - 9)}_{secrets.token_hex(4)}"


def make_part(
    session: Session, schema: str, table: str, types: Mapping[str, str], like: str = ""
) -> str:
    """Make an empty part for a table, which no reader knows yet, and return its name.

    Args:
        session: In a transaction.
        schema: The schema of both.
        table: The table.
        types: Column name to type.
        like: The table where its columns stay, with what users have laid down for their values.
    """
    name = unused_name("_rows", table)
    columns = _definitions(types)
    if like:
        columns = f"LIKE {session.named(schema, like)} INCLUDING CONSTRAINTS INCLUDING STORAGE"
    session.run(f"CREATE TABLE {session.named(schema, name)} ({columns})")
    return name


def make_whole(session: Session, schema: str, table: str, types: Mapping[str, str]) -> None:
    """Make a table without parts, with an index on each geometry."""
    name = session.named(schema, table)
    divided = f"PARTITION BY LIST ({quoted(key_of(types))})"
    session.run(f"CREATE TABLE {name} ({_definitions(types)}) {divided}")
    _index_geometries(session, name, types)


def _index_geometries(session: Session, name: str, types: Mapping[str, str]) -> None:
    for column, kind in types.items():
        if "geometry" in kind:
            session.run(f"CREATE INDEX ON {name} USING gist ({quoted(column)})")


def index_part(
    session: Session,
    schema: str,
    part: str,
    table: str,
    gone: Collection[str],
    new: Mapping[str, str],
) -> None:
    """Make the indexes of a table on a part of it, which it adopts when the part is attached.

    Args:
        session: In a transaction.
        schema: The schema of both.
        part: The part.
        table: The table.
        gone: Columns that the table is about to lose, and with them the indexes that use them.
        new: Columns that it is about to get, with their types.
    """
    name = session.named(schema, part)
    for unique, definition, used in session.run(_INDEXES, session.oid(schema, table)):
        if not set(used) & set(gone):
            session.run(f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {name} {definition}")
    _index_geometries(session, name, new)


def exchange(
    session: Session,
    schema: str,
    table: str,
    part: str,
    gone: Collection[str],
    new: Mapping[str, str],
) -> None:
    """Replace all parts of a table by another one.

    Args:
        session: In a transaction.
        schema: The schema of both.
        table: The table.
        part: The new part.
        gone: Columns that the table loses in between; one that changes its type is lost and new.
        new: Columns that it gets there, with their types as statements name them.
    """
    name = session.named(schema, table)
    old = [found for (found,) in session.run(_PARTS, session.oid(schema, table))]
    changes = [
        *(f"DROP COLUMN {quoted(column)}" for column in gone),
        *(f"ADD COLUMN {quoted(column)} {kind}" for column, kind in new.items()),
    ]

    def swap() -> None:
        for one in old:
            session.run(f"ALTER TABLE {name} DETACH PARTITION {session.named(schema, one)}")
        if changes:
            session.run(f"ALTER TABLE {name} {', '.join(changes)}")
            _index_geometries(session, name, new)
        session.run(f"ALTER TABLE {name} ATTACH PARTITION {session.named(schema, part)} DEFAULT")
        for one in old:
            session.run(f"DROP TABLE {session.named(schema, one)}")

    session.patiently(swap, table)


def take_place(session: Session, schema: str, new: str, table: str) -> None:
    """Let a table take the place of another one, with the rights that users had on it."""
    name, number = session.named(schema, new), session.oid(schema, table)
    for right, grantable, who in session.run(_GRANTS, number):
        option = " WITH GRANT OPTION" if grantable else ""
        session.run(f"GRANT {right} ON {name} TO {who}{option}")

    def swap() -> None:
        session.run(f"DROP TABLE {session.named(schema, table)}")
        session.run(f"ALTER TABLE {name} RENAME TO {session.named(table)}")

    session.patiently(swap, table)


def require_schema(session: Session, schema: str) -> None:
    """See that tables can be made in a schema, or the schema itself.

    Raises:
        WarehouseError: They cannot.
    """
    found = session.run(
        # A list of both would ask for any of them.
        "SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') "
        "AND pg_catalog.has_schema_privilege(oid, 'USAGE'), current_user "
        "FROM pg_catalog.pg_namespace WHERE nspname = ?",
        schema,
    )
    if not found:
        session.require_right_to_make(schema)
    elif not found[0][0]:
        raise WarehouseError(
            f"{found[0][1]} may make no tables in the schema {schema} of {session.where}: have its "
            f"owner run GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {quoted(found[0][1])}"
        )


def _definitions(types: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
