"""Reads features whose markup is like that of earlier ones without the XML parser.

A document is read by the XML parser, feature by feature, until there is a template for its
features. From then on the template reads what it matches, and the parser the rest. The result is
the same, for these reasons:

- A template is used only where the parser has just read the end of a feature and has no text
  pending. What follows is then between two features.
- A template matches one whole feature, with exactly the tags of a feature that the parser has
  accepted. So the feature is balanced, and without it the rest of the document is as well-formed,
  or as broken, as before.
- A template is used only within the element that it was learned in, so that prefixes have the same
  meaning, and with the same box around it, so that geometries without srsName have the same CRS.
- Only ids and texts may vary. They exclude what XML forbids or treats specially: markup, control
  characters, carriage returns, `]]>`, references other than XML's own. Bytes that are not UTF-8
  are left to the parser.
- A geometry is read by the plan that was made for exactly its markup. Its texts are checked later,
  like those of any other geometry.

What is cut off, broken or different does not match, and goes to the parser. So does a layer whose
name is not a valid XML name, because the end tags of its features are not recognised. Nothing here
gives a document its meaning.
"""

from __future__ import annotations

import numpy as np

from ods_pipeline.portal.gml.containers import Container
from ods_pipeline.portal.gml.fast.block import Block
from ods_pipeline.portal.gml.fast.feature_sample import UnsupportedMarkup
from ods_pipeline.portal.gml.fast.template import Template
from ods_pipeline.portal.gml.fast.tokens import Tokens
from ods_pipeline.portal.gml.geometry.markup import Context
from ods_pipeline.portal.gml.parsing import DocumentParser

_TAB, _LINE = 9, 10
_BLANK = 32  # the space; of the characters before it, XML allows three
_MOST_CHANGES = 60  # after which a template is not extended any more
_TRIAL = 400  # features that the parser has read before the fast path may be given up
_PIECES = 4  # of the document that are read at once
_LONGEST = 4 << 20  # bytes that wait for a feature's end; a longer feature is left to the parser


class FastReader:
    """Gives a document to the XML parser, or reads it by a template."""

    def __init__(self, parser: DocumentParser) -> None:
        self._parser = parser
        self._reader = parser.reader
        self._pieces: list[bytes] = []
        self._end_tag = b""
        self._template: Template | None = None
        self._place: tuple[Container, Context] | None = None
        self._enabled = True
        self._between_features = False
        self._changes = 0
        self._parsed = 0

    def feed(self, block: bytes) -> None:
        """Read the next block."""
        if not self._enabled:
            self._parse_pending()
            self._parser.feed(block)
            return
        if not self._end_tag:
            self._parser.feed(block)
            self._find_end_tag(block)
            return
        self._pieces.append(block)
        if len(self._pieces) > _PIECES:
            self._read_pending()

    def _read_pending(self) -> None:
        """Read up to the end of the last complete feature."""
        data = b"".join(self._pieces)
        end = data.rfind(self._end_tag) + len(self._end_tag)
        if end < len(self._end_tag):
            self._pieces = [data]
            if len(data) > _LONGEST:
                self._parse_pending()
            return
        self._pieces = [data[end:]]
        self._read_part(data[:end])

    def finish(self) -> None:
        """Read the rest, and check that the document ends here."""
        if self._enabled and self._end_tag:
            self._read_pending()
        self._parse_pending()
        self._parser.finish()

    def _parse_pending(self) -> None:
        pending, self._pieces = b"".join(self._pieces), []
        self._between_features = False
        self._parser.feed(pending)

    def _find_end_tag(self, block: bytes) -> None:
        """Once some features are read, find their end tag in the block."""
        reader = self._reader
        # Counted from the block's end: its beginning may have followed bytes that were pending.
        pending = len(reader.escaper.rest())
        start = len(block) - pending - (self._parser.fed - reader.feature_end)
        # After two features it is known whether each has a member of its own.
        undecided = reader.one_per_member != reader.ended_with_member
        if reader.features < 2 or start < 0 or undecided:
            return
        tag = block[start : block.find(b">", start) + 1]
        if tag.startswith(b"</"):
            self._end_tag = tag

    def _read_part(self, part: bytes) -> None:
        tokens = Tokens.of(part, self._end_tag) if _clean(part) else None
        if tokens is None:
            self._between_features = False
            self._parser.feed(part)
            return
        block: Block | None = None
        feature = 0
        while feature < tokens.features:
            if not self._enabled:
                self._parser.feed(part[tokens.begin(feature) :])
                return
            if self._between_features and self._template and self._usable(self._template):
                if block is None or not block.current(self._template):
                    block = Block(tokens, self._template)
                    block.recognise(feature)
                feature += block.read(feature, self._reader)
                if feature == tokens.features:
                    break
            self._parse(tokens.raw(feature))
            feature += 1

    def _parse(self, feature: bytes) -> None:
        """Let the parser read up to an end tag, and learn from that feature."""
        whole, rows = self._between_features, self._reader.rows
        self._parser.feed(feature)
        self._between_features = self._parser.just_ended(self._end_tag)
        self._parsed += 1
        # A feature of another type has the same end tag of its member, and makes no row.
        read = whole and self._between_features and self._reader.rows == rows + 1
        if read and self._changes < _MOST_CHANGES:
            self._learn(feature.decode())
        if self._parsed > _TRIAL and self._reader.features < 2 * self._parsed:
            self._enabled = False

    def _usable(self, template: Template) -> bool:
        """Whether the document is still where the template was learned."""
        containers = self._reader.containers
        if self._place is None or not containers:
            return False
        container, context = self._place
        return containers[-1] is container and container.context is context and template.current

    def _learn(self, feature: str) -> None:
        if self._template is None or not self._usable(self._template):
            container = self._reader.containers[-1]
            self._template, self._place = Template(), (container, container.context)
        try:
            self._changes += self._template.learn(feature, self._reader)
        except UnsupportedMarkup:
            return


def _clean(part: bytes) -> bool:
    """Whether this is UTF-8, without anything that XML forbids or treats specially."""
    codes = np.frombuffer(part, np.uint8)
    controls = np.count_nonzero(codes < _BLANK)
    if controls and controls != np.count_nonzero(codes == _LINE) + np.count_nonzero(codes == _TAB):
        return False
    if b"]" in part and b"]]>" in part:
        return False
    try:
        text = part.decode()
    except UnicodeDecodeError:
        return False
    return text.isascii() or not ("\ufffe" in text or "\uffff" in text)
