"""From XML events to features: what is a collection, a feature, a property, a geometry.

One method per kind of event and place; the parser is told which ones hold as the place changes.
Batches and counts are `collection`'s work, and what geometry markup means is `plans`'.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Mapping, Sequence

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import containers, limits
from ods_pipeline.portal.gml.batches import Declared
from ods_pipeline.portal.gml.columns import Column
from ods_pipeline.portal.gml.containers import Level
from ods_pipeline.portal.gml.coordinates import Unreadable
from ods_pipeline.portal.gml.markup import (
    END,
    GML,
    TELLING,
    TEXT,
    XLINK_HREF,
    XSI_NIL,
    Context,
    Mark,
    is_gml,
    local,
)
from ods_pipeline.portal.gml.names import Mender
from ods_pipeline.portal.gml.plans import Plans
from ods_pipeline.portal.gml.reports import REPORTS, Report

Attributes = Mapping[str, str]
#: Geometry that links point to: by id, the marks and texts of the element.
Linked = Mapping[str, tuple[Sequence[Mark], Sequence[str]]]

_IDS = (f"{GML} id", f"{GML}/3.2 id", f"{GML}/3.3 id", "fid")
_NEVER_DATA = frozenset({"boundedBy", "metaDataProperty", "location", "descriptionReference"})
_NAMED_BY_GML = frozenset({"name", "description", "identifier"})
_TRUE = frozenset({"true", "1"})


class LinkMet(GmlRefused):
    """A geometry stands elsewhere in the document."""


class Reader:
    """The state of a document that is being read.

    Attributes:
        parser: The XML parser; feeding it is the caller's work.
        columns: Properties met so far, by element name.
        ids: Ids of the features of this batch.
        rows: Features in this batch.
        features: Features seen in the document, those of other types included.
        declared: What the root says.
        before: Features given in earlier batches.
        ended: Where the last feature ended, in bytes fed.
    """

    def __init__(self, feature_type: str, linked: Linked, *, hits: bool) -> None:
        self.columns: dict[str, Column | None] = {}
        self.ids: list[str | None] = []
        self.rows = 0
        self.before = 0
        self.features = 0
        self.ended = 0
        self.declared = Declared()
        self.mender = Mender()
        self._wanted = feature_type.rpartition(":")[2]
        self._type = ""
        self._others: set[str] = set()
        self._linked = linked
        self._hits = hits
        self._plans = Plans()
        self._levels: list[Level] = []
        self._context = Context()
        self._column: Column | None = None
        self._row = 0
        self._geometry = False
        self._depth = 0
        self._nil = False
        self._bounds = False
        self._marks: list[Mark] = []
        self._slots: list[str] = []
        self._report: Report | None = None
        self.text: list[str] = []
        self.parser = self._parser()

    def _parser(self) -> pyexpat.XMLParserType:
        parser = pyexpat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.buffer_size = 1 << 20
        parser.CharacterDataHandler = self.text.append
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        return parser

    def begin_batch(self) -> None:
        """Forget the features of the batch that was taken; one may be half read."""
        self.ids = self.ids[self.rows :]
        self.before += self.rows
        self.rows = self._row = 0

    def named(self, row: int) -> str:
        """A feature of this batch, for messages."""
        identity = self.ids[row] if row < len(self.ids) else None
        return f"feature {identity!r}" if identity else f"feature number {self.before + row + 1}"

    # Around features.

    def _open(self, name: str, attributes: Attributes) -> None:
        self._nothing_said("between features")
        shown = local(name)
        if shown in REPORTS:
            self._begin_report(name, attributes)
        elif len(self._levels) >= limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        elif not self._levels:
            self._open_root(name, attributes)
        elif not self._levels[-1].collection:
            if containers.is_collection(name):
                self._push(name, attributes)
            else:
                self._begin_feature(name, attributes)
        elif shown in containers.MEMBERS:
            if XLINK_HREF in attributes:
                raise GmlRefused(f"a member stands elsewhere: {attributes[XLINK_HREF][:200]}")
            self._levels.append(Level(False, Declared(), self._context, self.features))
        elif shown == "boundedBy" or shown in containers.DESCRIPTIVE:
            self._skip(bounds=shown == "boundedBy")
        else:
            raise GmlRefused(f"the collection holds {shown}, which is no feature")

    def _open_root(self, name: str, attributes: Attributes) -> None:
        if containers.is_collection(name):
            self._push(name, attributes)
            self.declared = self._levels[0].declared
        elif is_gml(name) and local(name) in containers.MEMBERS:
            self._levels.append(Level(False, Declared(), self._context, self.features))
        else:
            containers.lone(name, attributes, _identity(attributes))
            self._begin_feature(name, attributes)

    def _push(self, name: str, attributes: Attributes) -> None:
        said = containers.declared(name, attributes)
        self._levels.append(Level(True, said, self._context, self.features))

    def _close(self, _name: str) -> None:
        self._nothing_said("between features")
        level = self._levels.pop()
        self._context = self._around()
        if level.collection and not self._hits:
            containers.verify(level.declared, self.features - level.began)

    def _around(self) -> Context:
        return self._levels[-1].context if self._levels else Context()

    def _nothing_said(self, where: str) -> None:
        if self.text:
            said = "".join(self.text)
            self.text.clear()
            if said and not said.isspace():
                raise Unproven(f"there is text {where}: {' '.join(said.split())[:120]!r}")

    # Features.

    def _begin_feature(self, name: str, attributes: Attributes) -> None:
        self.features += 1
        if name != self._type and not self._is_wanted(name):
            self._skip(bounds=False)
            return
        self._row = self.rows
        self.ids.append(_identity(attributes) if attributes else None)
        self.parser.StartElementHandler = self._open_property
        self.parser.EndElementHandler = self._close_property

    def _is_wanted(self, name: str) -> bool:
        shown = self.mender.original(local(name))
        if self._wanted and shown != self._wanted:
            self._others.add(shown)
            return False
        if self._type:
            first = self.mender.original(local(self._type))
            raise GmlRefused(
                f"the document holds features of more than one type, {first!r} and {shown!r}: "
                "name one with feature_type="
            )
        self._type = name
        return True

    def check_type(self) -> None:
        """With the document read, see that the type asked for was in it.

        Raises:
            GmlRefused: There are features of other types only.
        """
        if self._others and not self._type:
            types = ", ".join(sorted(self._others))
            raise GmlRefused(f"the document holds no {self._wanted!r}, but {types}")

    def _end_feature(self) -> None:
        self._nothing_said(f"between the properties of {self.named(self._row)}")
        self.rows += 1
        self.ended = self.parser.CurrentByteIndex
        self._context = self._around()
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close

    # Properties.

    def _open_property(self, name: str, attributes: Attributes) -> None:
        if self._column is not None:
            self._begin_geometry(name, attributes)
            return
        if self.text:
            self._nothing_said(f"between the properties of {self.named(self._row)}")
        try:
            column = self.columns[name]
        except KeyError:
            column = self._new_column(name)
        if column is None:
            self._skip(bounds=local(name) == "boundedBy")
            return
        self._column = column
        self._geometry = self._nil = False
        if attributes:
            self._nil = attributes.get(XSI_NIL, "").strip() in _TRUE
            if XLINK_HREF in attributes:
                self._follow(attributes[XLINK_HREF])
                self._place()

    def _new_column(self, name: str) -> Column | None:
        shown = self.mender.original(local(name))
        column = None
        if not (is_gml(name) and shown in _NEVER_DATA):
            called = f"gml_{shown}" if is_gml(name) and shown in _NAMED_BY_GML else shown
            if any(other and other.name == called for other in self.columns.values()):
                raise GmlRefused(f"two namespaces have a property {called!r}")
            if len(self.columns) >= limits.PROPERTIES:
                raise GmlRefused(f"there are more than {limits.PROPERTIES} different properties")
            column = Column(called, name)
        self.columns[name] = column
        return column

    def _close_property(self, _name: str) -> None:
        column = self._column
        if column is None:
            self._end_feature()
            return
        self._column = None
        text = self.text
        if not text:
            if not self._geometry:
                column.put(self._row, None if self._nil else "")
            return
        said = text[0] if len(text) == 1 else "".join(text)
        text.clear()
        if not self._geometry:
            column.put(self._row, None if self._nil and said.isspace() else said)
        elif not said.isspace():
            raise GmlRefused(self._about(column, "has text beside its geometry"))

    def _about(self, column: Column, said: str) -> str:
        return f"{self.named(self._row)}, property {column.name!r}, {said}"

    # Geometry.

    def _begin_geometry(self, name: str, attributes: Attributes) -> None:
        column = self._column
        if column is None or not is_gml(name):
            where = column.name if column else ""
            raise GmlRefused(
                f"{self.named(self._row)}: the property {where!r} holds the element "
                f"{self.mender.original(local(name))}, which is neither text nor geometry"
            )
        if self._geometry:
            raise GmlRefused(self._about(column, "has more than one geometry"))
        if self.text:
            said = "".join(self.text)
            self.text.clear()
            if not said.isspace():
                raise GmlRefused(self._about(column, "has text beside its geometry"))
        self.parser.StartElementHandler = self._open_geometry
        self.parser.EndElementHandler = self._close_geometry
        self._open_geometry(name, attributes)

    def _open_geometry(self, name: str, attributes: Attributes) -> None:
        if self.text:
            self._take_text()
        self._depth += 1
        if self._depth > limits.DEPTH:
            raise GmlRefused(f"{self.named(self._row)} has elements nested too deeply")
        self._marks.append(name)
        if attributes:
            telling = tuple((key, attributes[key]) for key in attributes if key in TELLING)
            if telling:
                self._marks.append(telling)
            if XLINK_HREF in attributes:
                self._follow(attributes[XLINK_HREF])

    def _close_geometry(self, _name: str) -> None:
        if self.text:
            self._take_text()
        self._marks.append(END)
        self._depth -= 1
        if not self._depth:
            self.parser.StartElementHandler = self._open_property
            self.parser.EndElementHandler = self._close_property
            self._place()

    def _take_text(self) -> None:
        said = "".join(self.text)
        self.text.clear()
        if not said.isspace():
            self._marks.append(TEXT)
            self._slots.append(said)

    def _follow(self, href: str) -> None:
        """Put the geometry that a link points to in the link's place."""
        if href.startswith("#") and href[1:] in self._linked:
            marks, texts = self._linked[href[1:]]
            self._marks.extend(marks)
            self._slots.extend(texts)
            return
        where = self._about(self._column, "") if self._column else ""
        kind: type[GmlRefused] = LinkMet if href.startswith("#") else GmlRefused
        raise kind(f"{where}stands elsewhere, and links are not followed: {href[:200]}")

    def _place(self) -> None:
        column = self._column
        if column is None:
            raise AssertionError("a geometry outside of properties")
        try:
            plan = self._plans.plan(self._context, self._marks)
            column.place(self._row, plan, self._slots)
        except Unreadable as error:
            raise GmlRefused(self._about(column, str(error))) from error
        self._geometry = True
        self._marks.clear()
        self._slots.clear()

    # What is passed over, but for the box that says in which CRS things are.

    def _skip(self, *, bounds: bool) -> None:
        self._bounds = bounds
        self._depth = 1
        self._before = (self.parser.StartElementHandler, self.parser.EndElementHandler)
        self.parser.StartElementHandler = self._open_skipped
        self.parser.EndElementHandler = self._close_skipped

    def _open_skipped(self, _name: str, attributes: Attributes) -> None:
        self.text.clear()
        self._depth += 1
        if self._depth > limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        if self._bounds and "srsName" in attributes:
            declared = attributes.get("srsDimension", "")
            self._context = Context(
                attributes["srsName"].strip(), int(declared) if declared.isdecimal() else 0
            )

    def _close_skipped(self, _name: str) -> None:
        self.text.clear()
        self._depth -= 1
        if not self._depth:
            self.parser.StartElementHandler, self.parser.EndElementHandler = self._before
            if self._bounds and self._before[0] == self._open:
                self._levels[-1].context = self._context

    # Exception reports.

    def _begin_report(self, name: str, attributes: Attributes) -> None:
        self._report = report = Report()
        depth = 1

        def opened(name: str, attributes: Attributes) -> None:
            nonlocal depth
            depth += 1
            report.open(name, attributes)

        def closed(_name: str) -> None:
            nonlocal depth
            depth -= 1
            report.say("".join(self.text))
            self.text.clear()
            if not depth:
                raise report.exception()

        self.parser.StartElementHandler, self.parser.EndElementHandler = opened, closed


def _identity(attributes: Attributes) -> str | None:
    for key in _IDS:
        if key in attributes:
            return attributes[key]
    return None


def _refuse_doctype(name: str, *_: object) -> None:
    if name.lower() == "html":
        raise GmlRefused("this is an HTML page, not GML: perhaps a login page")
    raise GmlRefused("the document has a DOCTYPE, which no GML needs: it may hide entities")
