"""A way past the XML parser for features that are marked up like others before them.

Every document is read by the XML parser, feature by feature, until a `template` for its features is
known. From then on, whatever the template matches is read by it, and the rest by the parser. The
result is the same, because:

- It opens only where the parser has just seen a feature end, with nothing pending, so that
  what follows stands between two features.
- A template matches one whole feature: literally the tags of one that the parser has found to be
  well-formed, and therefore balanced. Taken out of the document, it leaves the parser's view
  well-formed or not as it was before.
- It holds only within the very element that it was learned in, so that prefixes mean the same, and
  with the same box around it, so that geometries without srsName mean the same.
- Open are ids and texts alone. They exclude all that XML forbids or that means anything but itself:
  markup, control characters, carriage returns, `]]>`, references other than XML's own. Bytes that
  are not UTF-8 never get here.
- A geometry is read by the plan that was made for exactly its markup; what its texts hold is
  checked later, as for any other geometry.

What is cut off, garbled or different in any way does not match, and the parser decides. So it does
where the name of the features' type is none that XML allows (`names`): their ends are not found.
"""

from __future__ import annotations

import numpy as np

from ods_pipeline.portal.gml.containers import Level
from ods_pipeline.portal.gml.fast.block import Block
from ods_pipeline.portal.gml.fast.learning import Unlearnable
from ods_pipeline.portal.gml.fast.template import Template
from ods_pipeline.portal.gml.fast.tokens import Tokens
from ods_pipeline.portal.gml.geometry.markup import Context
from ods_pipeline.portal.gml.parsing import Parsing

_TAB, _LINE = 9, 10
_BLANK = 32  # the space; what comes before it is no character of XML, save for three
_LESSONS = 60  # after which a template is as good as it gets
_PATIENCE = 400  # features that the parser had to read before the bypass may be given up
_PIECES = 4  # of the document that are read at once
_LONGEST = 4 << 20  # bytes that wait for a feature's end; a longer one is left to the parser


class Bypass:
    """Feeds a document to the parser, or past it.

    Args:
        parsing: The way to the parser.
    """

    def __init__(self, parsing: Parsing) -> None:
        self._parsing = parsing
        self._reader = parsing.reader
        self._pieces: list[bytes] = []
        self._end = b""
        self._template: Template | None = None
        self._place: tuple[Level, Context] | None = None
        self._open = True
        self._between = False
        self._lessons = 0
        self._parsed = 0

    def feed(self, block: bytes) -> None:
        """Read some more."""
        if not self._open:
            self._let_go()
            self._parsing.feed(block)
            return
        if not self._end:
            self._parsing.feed(block)
            self._look_for_end(block)
            return
        self._pieces.append(block)
        if len(self._pieces) > _PIECES:
            self._read_waiting()

    def _read_waiting(self) -> None:
        """Read up to where the last feature ends that has come whole."""
        data = b"".join(self._pieces)
        end = data.rfind(self._end) + len(self._end)
        if end < len(self._end):
            self._pieces = [data]
            if len(data) > _LONGEST:
                self._let_go()
            return
        self._pieces = [data[end:]]
        self._read_part(data[:end])

    def finish(self) -> None:
        """Read what still waits, and see that the document ends here."""
        if self._open and self._end:
            self._read_waiting()
        self._let_go()
        self._parsing.finish()

    def _let_go(self) -> None:
        waiting, self._pieces = b"".join(self._pieces), []
        self._between = False
        self._parsing.feed(waiting)

    def _look_for_end(self, block: bytes) -> None:
        """With some features read, see what their end tag is, from the end of the block."""
        reader = self._reader
        # From the block's end: what it begins with may have waited in the mender.
        waiting = len(reader.mender.rest())
        start = len(block) - waiting - (self._parsing.fed - reader.ended)
        # After two features it is known whether each has a member of its own.
        if reader.features < 2 or start < 0 or reader.wrapped != reader.of_member:
            return
        tag = block[start : block.find(b">", start) + 1]
        if tag.startswith(b"</"):
            self._end = tag

    def _read_part(self, part: bytes) -> None:
        """Read bytes that end where a feature may end."""
        tokens = Tokens.of(part, self._end) if _clean(part) else None
        if tokens is None:
            self._between = False
            self._parsing.feed(part)
            return
        block: Block | None = None
        feature = 0
        while feature < tokens.features:
            if not self._open:
                self._parsing.feed(part[tokens.begin(feature) :])
                return
            if self._between and self._template and self._is_here() and self._template.holds:
                if block is None or not block.current(self._template):
                    block = Block(tokens, self._template)
                    block.recognise(feature)
                feature += block.read(feature, self._reader)
                if feature == tokens.features:
                    break
            self._parse(tokens.raw(feature))
            feature += 1

    def _parse(self, feature: bytes) -> None:
        """Let the parser read up to an end tag, and learn from it."""
        whole, rows = self._between, self._reader.rows
        self._parsing.feed(feature)
        self._between = self._parsing.just_ended(self._end)
        self._parsed += 1
        # A feature of a type that is not asked for ends like another, and is no row.
        read = whole and self._between and self._reader.rows == rows + 1
        if read and self._lessons < _LESSONS:
            self._learn(feature.decode())
        if self._parsed > _PATIENCE and self._reader.features < 2 * self._parsed:
            self._open = False

    def _is_here(self) -> bool:
        levels = self._reader.levels
        if self._place is None or not levels:
            return False
        level, context = self._place
        return levels[-1] is level and level.context is context

    def _learn(self, feature: str) -> None:
        level = self._reader.levels[-1]
        if self._template is None or not self._is_here() or not self._template.holds:
            self._template, self._place = Template(), (level, level.context)
        try:
            self._lessons += self._template.learn(feature, self._reader)
        except Unlearnable:
            return


def _clean(part: bytes) -> bool:
    """Whether the part is text, and without what XML forbids or reads in a way of its own."""
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
