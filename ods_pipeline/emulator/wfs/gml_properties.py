"""SQL that writes the fields of a feature as XML elements.

The GML of geometries does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ods_pipeline.emulator.datasets.dataset import Column, Field
from ods_pipeline.emulator.datasets.formatting import iso_date, sql_text, text_value
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.gml_geometries import GmlWriter

BOOLEANS = {"python": ("True", "False"), "lower": ("true", "false"), "number": ("1", "0")}
NEEDS_ESCAPING = ("text", "file", "json_blob")
# XML cannot represent these characters.
NOT_IN_XML = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x{FFFE}\x{FFFF}]"


def escaped_xml(sql: str) -> str:
    """SQL for a text as XML; a carriage return becomes a reference, which parsers keep."""
    clean = f"regexp_replace({sql}, '{NOT_IN_XML}', '', 'g')"
    for letter, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        clean = f"replace({clean}, '{letter}', '{reference}')"
    return f"replace({clean}, chr(13), '&#13;')"


@dataclass(frozen=True)
class PropertyWriter:
    """Writes the properties of features."""

    quirks: WfsQuirks
    files: str
    collection_depth: int = 0

    def element(self, declared: Field, sql: str) -> str:
        """SQL for the element, or elements, of one field."""
        name = declared.name
        column = Column.of(declared, sql)
        if column.multivalued and self.quirks.lists == "repeated":
            elements = (
                f"array_to_string(list_transform({sql}, lambda i: {_element(name, 'i')}), '')"
            )
            return f"coalesce(nullif({elements}, ''), {self._null(name)})"
        value = self._value(declared, column)
        tagged = f"{sql_text(f'<ods:{name}>')} || {value} || {sql_text(f'</ods:{name}>')}"
        return f"coalesce({tagged}, {self._null(name)})"

    def _null(self, name: str) -> str:
        forms = {"empty": f"<ods:{name}></ods:{name}>", "nil": f'<ods:{name} xsi:nil="true"/>'}
        return sql_text(forms.get(self.quirks.nulls, ""))

    def _value(self, declared: Field, column: Column) -> str:
        if column.multivalued:
            return escaped_xml(self._list(declared, column.sql))
        match column.type:
            case "geo_point_2d":
                return GmlWriter(self.quirks).point(column.sql)
            case "geo_shape":
                return GmlWriter(self.quirks, self.collection_depth).shape(column.sql)
            case "datetime":
                return self._datetime(column.sql)
            case "date":
                short = column.precision if self.quirks.short_dates == "short" else None
                return iso_date(column.sql, short)
            case "boolean":
                yes, no = BOOLEANS[self.quirks.booleans]
                return f"CASE {column.sql} WHEN true THEN '{yes}' WHEN false THEN '{no}' END"
        text = text_value(replace(column, precision=None), "UTC", files=self.files)
        return escaped_xml(f"({text})") if column.type in NEEDS_ESCAPING else text

    def _datetime(self, sql: str) -> str:
        """As Python prints a datetime: a space, and six digits of fraction or none."""
        moment = f"clock_of({sql}) || '+00:00'"
        return moment if self.quirks.datetimes == "T" else f"replace({moment}, 'T', ' ')"

    def _list(self, declared: Field, sql: str) -> str:
        if self.quirks.lists == "joined":
            return f"array_to_string({sql}, {sql_text(list_separator(declared))})"
        return (
            f"'[' || array_to_string(list_transform({sql}, lambda i: {_python_repr('i')}), ', ')"
            " || ']'"
        )


def list_separator(declared: Field) -> str:
    """The separator of a field's values: as declared, else a comma."""
    value = declared.annotations.get("multivalued")
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) and first else ","


def _element(name: str, sql: str) -> str:
    return f"{sql_text(f'<ods:{name}>')} || {escaped_xml(sql)} || {sql_text(f'</ods:{name}>')}"


def _python_repr(sql: str) -> str:
    """SQL for a text as Python prints it in a list: double quotes only where they save escapes."""
    safe = f"replace({sql}, '\\', '\\\\')"
    for letter, written in (("chr(10)", "\\n"), ("chr(13)", "\\r"), ("chr(9)", "\\t")):
        safe = f"replace({safe}, {letter}, '{written}')"
    double = f"contains({sql}, '''') AND NOT contains({sql}, '\"')"
    single = f"'''' || replace({safe}, '''', '\\''') || ''''"
    return f"CASE WHEN {double} THEN '\"' || {safe} || '\"' ELSE {single} END"
