"""From XML events to features: what is a collection, a feature, a property, a geometry.

One method per kind of event and place; the parser is told which ones hold as the place changes.
Feeding the parser is `parsing`'s work, batches are `collection`'s, and what geometry markup means
is `plans`'.
"""

from __future__ import annotations

import pyexpat

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import containers, decoding, limits
from ods_pipeline.portal.gml.batches import Declared
from ods_pipeline.portal.gml.columns import Column, Columns
from ods_pipeline.portal.gml.containers import Choice, Level
from ods_pipeline.portal.gml.geometry.coordinates import Unreadable
from ods_pipeline.portal.gml.geometry.markup import (
    XLINK_HREF,
    XSI_NIL,
    Context,
    blank,
    is_gml,
    local,
)
from ods_pipeline.portal.gml.geometry.plans import Plans
from ods_pipeline.portal.gml.handlers import (
    TIMES,
    Aside,
    Attributes,
    Instant,
    Linked,
    Reporter,
    Scribe,
    reported,
)
from ods_pipeline.portal.gml.names import Mender
from ods_pipeline.portal.gml.reports import REPORTS
from ods_pipeline.portal.gml.texts import Texts, called

_TRUE = frozenset({"true", "1"})


class Reader:
    """The state of a document that is being read.

    Attributes:
        parser: The XML parser, whose events come here.
        choice: Which feature type is read.
        mender: Makes names readable before they come here.
        columns: Properties met so far, by element name.
        ids: Ids of the features of this batch.
        rows: Features in this batch.
        before: Features in earlier batches.
        features: Features seen in the document, those of other types included.
        trail: The properties of the feature that is or was read last, in its order.
        levels: The elements around features that are open.
        ended: Where the end tag of the last feature, or of the member that holds just it, began,
            in bytes fed.
        skipped: Where the end tag of the last feature of another type began.
        of_member: Whether that was a member's.
        wrapped: Whether every feature has a member of its own.
        declared: What the root says.
        mapserver: Whether MapServer wrote this, by what the root says.
        text: Text since the last tag.
    """

    def __init__(self, feature_type: str, linked: Linked, *, counted: bool) -> None:
        self.ids = Texts()
        self.rows = self.before = self.features = 0
        self.trail: list[Column | None] = []
        self.levels: list[Level] = []
        self.ended = self.skipped = 0
        self.wrapped = self.of_member = False
        self.declared = Declared()
        self.mapserver = False
        self.text: list[str] = []
        self.mender = Mender()
        self.columns = Columns(self.mender)
        self.parser = self._parser()
        self.choice = Choice(feature_type, self.mender)
        self._counted = counted
        self._plans = Plans()
        self._context = Context()
        self._column: Column | None = None
        self._row = 0
        self._held = ""
        self._nil = False
        self._scribe = Scribe(self.parser, self.text, linked)
        self._aside = Aside(self.parser, self.text)
        self._instant = Instant(self.parser, self.text)

    def _parser(self) -> pyexpat.XMLParserType:
        parser = decoding.parser()
        parser.CharacterDataHandler = self.text.append
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        return parser

    def begin_batch(self, taken: int) -> None:
        """Forget the features of the batch that was taken; one may be half read."""
        self.before += taken
        self.rows -= taken
        self._row = self.rows

    def named(self, row: int) -> str:
        """A feature of this batch, for messages."""
        return called(self.ids.at(row), self.before + row)

    # Around features.

    def _open(self, name: str, attributes: Attributes) -> None:
        self._nothing_said("between features")
        shown = local(name)
        if shown in REPORTS:
            Reporter(self.parser, self.text).begin()
        elif len(self.levels) >= limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        elif not self.levels:
            self._open_root(name, attributes)
        elif not self.levels[-1].collection:
            if containers.is_collection(name):
                self._enter(containers.declared(name, attributes), collection=True)
            else:
                self._begin_feature(name, attributes)
        elif shown in containers.MEMBERS:
            if XLINK_HREF in attributes:
                raise GmlRefused(f"a member stands elsewhere: {attributes[XLINK_HREF][:200]}")
            self._enter(Declared(), collection=False)
        elif shown == "boundedBy":
            self._aside.begin(self._bound_level)
        elif shown in containers.DESCRIPTIVE:
            self._aside.begin()
        else:
            shown = self.mender.original(shown)
            raise GmlRefused(f"the collection holds {shown}, which is no feature")

    def _open_root(self, name: str, attributes: Attributes) -> None:
        if containers.is_collection(name):
            self.declared = containers.declared(name, attributes)
            self.mapserver = containers.by_mapserver(attributes)
            self._enter(self.declared, collection=True)
        elif is_gml(name) and local(name) in containers.MEMBERS:
            self._enter(Declared(), collection=False)
        else:
            containers.lone(self.mender.original(name), containers.identity(attributes))
            self._begin_feature(name, attributes)

    def _enter(self, said: Declared, *, collection: bool) -> None:
        self.levels.append(Level(collection, said, self._context, self.features))

    def _close(self, _name: str) -> None:
        self._nothing_said("between features")
        level = self.levels.pop()
        self._context = self._around()
        features = self.features - level.began
        if not level.collection:
            self.wrapped = features == 1
            if self.wrapped:
                self.of_member = True
                self.ended = self.parser.CurrentByteIndex
        elif self._counted:
            containers.verify(level.declared, features, inner=bool(self.levels))

    def _bound_level(self, context: Context | None) -> None:
        if context is not None:
            self.levels[-1].context = self._context = context

    def _around(self) -> Context:
        return self.levels[-1].context if self.levels else Context()

    def _nothing_said(self, where: str) -> None:
        if self.text:
            said = "".join(self.text)
            self.text.clear()
            if not blank(said):
                raise Unproven(f"there is text {where}: {' '.join(said.split())[:120]!r}")

    # Features.

    def _begin_feature(self, name: str, attributes: Attributes) -> None:
        self.features += 1
        if name != self.choice.taken and not self.choice.wants(name):
            self._aside.begin(self._skip)
            return
        self._row = self.rows
        self.trail.clear()
        self.ids.put(self.rows, containers.identity(attributes) if attributes else None)
        self.parser.StartElementHandler = self._open_property
        self.parser.EndElementHandler = self._close_property

    def _skip(self, _context: Context | None) -> None:
        self.skipped = self.parser.CurrentByteIndex

    def _end_feature(self) -> None:
        self._nothing_said(f"between the properties of {self.named(self._row)}")
        self.rows += 1
        self.of_member = False
        self.ended = self.parser.CurrentByteIndex
        self._context = self._around()
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close

    # Properties.

    def _open_property(self, name: str, attributes: Attributes) -> None:
        if self._column is not None:
            self._begin_element(self._column, name, attributes)
            return
        if self.text:
            self._nothing_said(f"between the properties of {self.named(self._row)}")
        if reported(name, self.parser, self.text):
            return
        column = self.columns[name]
        if self._row * len(self.columns) > limits.CROWDED:
            raise GmlRefused("the document has many small features and too many properties")
        self.trail.append(column)
        if column is None:
            bounds = local(name) == "boundedBy"
            self._aside.begin(self._bound_feature if bounds else None)
            return
        self._column = column
        self._held, self._nil = "", False
        if attributes:
            self._nil = attributes.get(XSI_NIL, "").strip() in _TRUE
            if XLINK_HREF in attributes and column.follows(attributes[XLINK_HREF]):
                self._follow(column, attributes[XLINK_HREF])

    def _bound_feature(self, context: Context | None) -> None:
        self._context = context or self._context

    def _close_property(self, _name: str) -> None:
        column = self._column
        if column is None:
            self._end_feature()
            return
        self._column = None
        text = self.text
        if not text:
            if not self._held:
                self._put(column, None if self._nil else "")
            return
        said = text[0] if len(text) == 1 else "".join(text)
        text.clear()
        if not self._held:
            self._put(column, None if self._nil and blank(said) else said)
        elif not blank(said):
            raise self._refused(column, f"has text beside its {self._held}")

    def _put(self, column: Column, said: str | None) -> None:
        try:
            column.put(self._row, said)
        except Unreadable as error:
            raise self._refused(column, str(error)) from error

    def _refused(self, column: Column, said: str) -> GmlRefused:
        said = self.mender.original(said)
        return GmlRefused(f"{self.named(self._row)}, property {column.name!r}, {said}")

    def _begin_element(self, column: Column, name: str, attributes: Attributes) -> None:
        if reported(name, self.parser, self.text):
            return
        if column.passes(name):
            self._aside.begin()
            return
        if not is_gml(name):
            shown = self.mender.original(local(name))
            raise self._refused(column, f"holds {shown}, which is neither text nor geometry")
        if self._held:
            raise self._refused(column, f"has more than one {self._held}")
        if self.text:
            said = "".join(self.text)
            self.text.clear()
            if not blank(said):
                raise self._refused(column, "has text beside an element")
        if local(name) in TIMES:
            self._instant.begin(name, attributes, self._date)
        else:
            self._scribe.begin(name, attributes, self._place)

    def _date(self) -> None:
        column = self._column
        if column is None:
            raise AssertionError("a date outside of properties")
        if self._instant.wrong:
            raise self._refused(column, self._instant.wrong)
        self._put(column, self._instant.said)
        self._held = "date"

    def _follow(self, column: Column, href: str) -> None:
        try:
            self._scribe.begin_linked(href)
        except GmlRefused as error:
            raise type(error)(f"{self._refused(column, str(error))}") from error
        self._place()

    def _place(self) -> None:
        column = self._column
        if column is None:
            raise AssertionError("a geometry outside of properties")
        try:
            plan = self._plans.plan(self._context, self._scribe.marks)
            column.place(self._row, plan, self._scribe.texts)
        except Unreadable as error:
            raise self._refused(column, str(error)) from error
        self._held = "geometry"
