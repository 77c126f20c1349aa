"""Turns XML events into features: recognises collections, features, properties and geometries.

There is one method per kind of event and level, and the parser's handlers change with the level.
Nothing here feeds the parser, makes batches or interprets geometry markup.
"""

from __future__ import annotations

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import containers, decoding, limits
from ods_pipeline.portal.gml.columns import Column, Columns, Texts, feature_label
from ods_pipeline.portal.gml.containers import Container, Declared, FeatureTypeFilter
from ods_pipeline.portal.gml.exception_report import REPORTS
from ods_pipeline.portal.gml.geometry.markup import (
    XLINK_HREF,
    XSI_NIL,
    Context,
    blank,
    is_gml,
    local,
    taken,
)
from ods_pipeline.portal.gml.geometry.plans import Plans
from ods_pipeline.portal.gml.handlers import (
    TIMES,
    Attributes,
    DateHandler,
    GeometryRecorder,
    Linked,
    ReportHandler,
    SkipHandler,
    reported,
)
from ods_pipeline.portal.gml.names import NameEscaper
from ods_pipeline.portal.gml.root import RootHandler
from ods_pipeline.tables.curves import Unreadable

_TRUE = frozenset({"true", "1"})


class Reader:
    """The state of a document while it is read.

    Attributes:
        parser: The XML parser, which calls this reader.
        type_filter: Selects the feature type to read.
        escaper: Makes names valid before the parser gets them.
        columns: Properties met so far, by element name.
        ids: Ids of the features of this batch.
        rows: Number of features in this batch.
        earlier_rows: Number of features in earlier batches.
        features: Number of features in the document so far, including those of other types.
        last_columns: The properties of the feature that is or was last read, in order.
        containers: The open elements around features.
        feature_end: Where the end tag of the last feature began, in bytes fed; or that of its
            member, if that holds this feature only.
        skipped_end: Where the end tag of the last feature of another type began.
        ended_with_member: Whether `feature_end` is that of a member.
        one_per_member: Whether every feature has a member of its own.
        declared: What the root declares.
        mapserver: Whether MapServer wrote the document, by its root.
        text: Text since the last tag.
    """

    def __init__(
        self, feature_type: str, linked: Linked, *, counted: bool, partial: bool = False
    ) -> None:
        self.ids = Texts()
        self.rows = self.earlier_rows = self.features = 0
        self.last_columns: list[Column | None] = []
        self.containers: list[Container] = []
        self.feature_end = self.skipped_end = 0
        self.one_per_member = self.ended_with_member = False
        self.declared = Declared()
        self.mapserver = False
        self.text: list[str] = []
        self.escaper = NameEscaper()
        self.columns = Columns(self.escaper)
        self.parser = decoding.parser()
        self.parser.CharacterDataHandler = self.text.append
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close
        self.type_filter = FeatureTypeFilter(feature_type, self.escaper)
        self._counted = counted
        self._partial = partial
        self._plans = Plans()
        self._context = Context()
        self._column: Column | None = None
        self._row = 0
        self._content = ""
        self._nil = False
        self._recorder = GeometryRecorder(self.parser, self.text, linked)
        self._skipper = SkipHandler(self.parser, self.text)
        self._date_handler = DateHandler(self.parser, self.text)
        self._root_handler = RootHandler(self.parser, self.text)

    def begin_batch(self, taken: int) -> None:
        """Start a batch after some rows were taken; a feature may be unfinished."""
        self.earlier_rows += taken
        self.rows -= taken
        self._row = self.rows

    def label(self, row: int) -> str:
        """Names a feature of this batch in messages."""
        return feature_label(self.ids.at(row), self.earlier_rows + row)

    # Around features.

    def _open(self, name: str, attributes: Attributes) -> None:
        self._refuse_text("between features")
        local_name = local(name)
        if local_name in REPORTS:
            ReportHandler(self.parser, self.text).begin()
        elif len(self.containers) >= limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        elif not self.containers:
            self._open_root(name, attributes)
        elif not self.containers[-1].collection:
            if containers.is_collection(name):
                self._enter(containers.declared(name, attributes), collection=True)
            else:
                self._begin_feature(name, attributes)
        elif local_name in containers.MEMBERS:
            if XLINK_HREF in attributes:
                raise GmlRefused(f"a member links elsewhere: {attributes[XLINK_HREF][:200]}")
            self._enter(Declared(), collection=False)
        elif local_name == "boundedBy":
            self._skipper.begin(self._set_container_context)
        elif local_name in containers.DESCRIPTIVE:
            self._skipper.begin()
        else:
            local_name = self.escaper.original(local_name)
            raise GmlRefused(f"the collection holds {local_name}, which is not a feature")

    def _open_root(self, name: str, attributes: Attributes) -> None:
        if containers.is_collection(name):
            self._open_collection(name, attributes)
        elif is_gml(name) and local(name) in containers.MEMBERS:
            self._enter(Declared(), collection=False)
        else:
            containers.require_gml(name)
            self._root_handler.begin(
                name, attributes, lambda collection: self._begin_root(name, attributes, collection)
            )

    def _begin_root(self, name: str, attributes: Attributes, collection: bool) -> None:
        """Begin with a root that only what it holds has told."""
        if collection:
            self._open_collection(name, attributes)
        else:
            containers.require_feature(self.escaper.original(name), attributes)
            self._begin_feature(name, attributes)

    def _open_collection(self, name: str, attributes: Attributes) -> None:
        self.declared = containers.declared(name, attributes)
        self.mapserver = containers.by_mapserver(attributes)
        self._enter(self.declared, collection=True)

    def _enter(self, declared: Declared, *, collection: bool) -> None:
        self.containers.append(Container(collection, declared, self._context, self.features))

    def _close(self, _name: str) -> None:
        self._refuse_text("between features")
        container = self.containers.pop()
        self._context = self._around()
        features = self.features - container.features_before
        if not container.collection:
            self.one_per_member = features == 1
            if self.one_per_member:
                self.ended_with_member = True
                self.feature_end = self.parser.CurrentByteIndex
        elif self._counted:
            inner = bool(self.containers) and not self._partial
            containers.verify(container.declared, features, inner=inner)

    def _set_container_context(self, context: Context | None) -> None:
        if context is not None:
            self.containers[-1].context = self._context = context

    def _around(self) -> Context:
        return self.containers[-1].context if self.containers else Context()

    def _refuse_text(self, where: str) -> None:
        text = taken(self.text) if self.text else ""
        if text:
            raise Unproven(f"there is text {where}: {' '.join(text.split())[:120]!r}")

    # Features.

    def _begin_feature(self, name: str, attributes: Attributes) -> None:
        self.features += 1
        if name != self.type_filter.selected and not self.type_filter.accepts(name):
            self._skipper.begin(self._skip)
            return
        self._row = self.rows
        self.last_columns.clear()
        self.ids.put(self.rows, containers.identity(attributes) if attributes else None)
        self.parser.StartElementHandler = self._open_property
        self.parser.EndElementHandler = self._close_property

    def _skip(self, _context: Context | None) -> None:
        self.skipped_end = self.parser.CurrentByteIndex

    def _end_feature(self) -> None:
        self._refuse_text(f"between the properties of {self.label(self._row)}")
        self.rows += 1
        self.ended_with_member = False
        self.feature_end = self.parser.CurrentByteIndex
        self._context = self._around()
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close

    # Properties.

    def _open_property(self, name: str, attributes: Attributes) -> None:
        if self._column is not None:
            self._begin_element(self._column, name, attributes)
            return
        if self.text:
            self._refuse_text(f"between the properties of {self.label(self._row)}")
        if reported(name, self.parser, self.text):
            return
        column = self.columns[name]
        if self._row * len(self.columns) > limits.CROWDED:
            raise GmlRefused("the document has many small features and too many properties")
        self.last_columns.append(column)
        if column is None:
            bounds = local(name) == "boundedBy"
            self._skipper.begin(self._set_feature_context if bounds else None)
            return
        self._column = column
        self._content, self._nil = "", False
        if attributes:
            self._nil = attributes.get(XSI_NIL, "").strip() in _TRUE
            if XLINK_HREF in attributes and column.follows_link(attributes[XLINK_HREF]):
                self._follow(column, attributes[XLINK_HREF])

    def _set_feature_context(self, context: Context | None) -> None:
        self._context = context or self._context

    def _close_property(self, _name: str) -> None:
        column = self._column
        if column is None:
            self._end_feature()
            return
        self._column = None
        pieces = self.text
        if not pieces:
            if not self._content:
                self._put_text(column, None if self._nil else "")
            return
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        if not self._content:
            self._put_text(column, None if self._nil and blank(text) else text)
        elif not blank(text):
            raise self._refused(column, f"has text beside its {self._content}")

    def _put_text(self, column: Column, text: str | None) -> None:
        try:
            column.put_text(self._row, text)
        except Unreadable as error:
            raise self._refused(column, str(error)) from error

    def _refused(self, column: Column, problem: str) -> GmlRefused:
        problem = self.escaper.original(problem)
        return GmlRefused(f"{self.label(self._row)}, property {column.name!r}, {problem}")

    def _begin_element(self, column: Column, name: str, attributes: Attributes) -> None:
        if reported(name, self.parser, self.text):
            return
        if column.skips(name):
            self._skipper.begin()
            return
        if not is_gml(name):
            local_name = self.escaper.original(local(name))
            raise self._refused(column, f"holds {local_name}, which is neither text nor geometry")
        if self._content:
            raise self._refused(column, f"has more than one {self._content}")
        if self.text and taken(self.text):
            raise self._refused(column, "has text beside an element")
        if local(name) in TIMES:
            self._date_handler.begin(name, attributes, self._put_date)
        else:
            self._recorder.begin(name, attributes, self._put_geometry)

    def _open_column(self) -> Column:
        if self._column is None:
            raise AssertionError("a date or geometry outside of properties")
        return self._column

    def _put_date(self) -> None:
        column = self._open_column()
        if self._date_handler.problem:
            raise self._refused(column, self._date_handler.problem)
        self._put_text(column, self._date_handler.date)
        self._content = "date"

    def _follow(self, column: Column, href: str) -> None:
        try:
            self._recorder.begin_linked(href)
        except GmlRefused as error:
            raise type(error)(f"{self._refused(column, str(error))}") from error
        self._put_geometry()

    def _put_geometry(self) -> None:
        column = self._open_column()
        try:
            plan = self._plans.plan(self._context, self._recorder.marks)
            column.put_geometry(self._row, plan, self._recorder.texts)
        except Unreadable as error:
            raise self._refused(column, str(error)) from error
        self._content = "geometry"
