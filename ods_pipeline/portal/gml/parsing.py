"""Feeds the XML parser, turns its errors into ours, and limits what it keeps in memory.

Nothing here interprets the parser's events.
"""

from __future__ import annotations

import pyexpat

from ods_pipeline.errors import GmlRefused, OdsPipelineError, Unproven
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.exception_report import find_report
from ods_pipeline.portal.gml.reader import Reader

_PARSER = pyexpat.errors
# Errors that neither a cut document nor a second one after it explains.
_REFUSED = {
    _PARSER.XML_ERROR_UNDEFINED_ENTITY: "an entity that XML does not define",
    _PARSER.XML_ERROR_UNBOUND_PREFIX: "a namespace prefix that is declared nowhere",
    _PARSER.XML_ERROR_DUPLICATE_ATTRIBUTE: "an element with the same attribute twice",
}
_CUT = frozenset(
    {
        _PARSER.XML_ERROR_NO_ELEMENTS,
        _PARSER.XML_ERROR_UNCLOSED_TOKEN,
        _PARSER.XML_ERROR_PARTIAL_CHAR,
        _PARSER.XML_ERROR_UNCLOSED_CDATA_SECTION,
    }
)


class DocumentParser:
    """The XML parser of a document.

    Attributes:
        reader: Gets the parser's events.
        fed: Bytes parsed so far.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.fed = 0

    def feed(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises:
            Unproven: The document is cut off, or not well-formed.
            GmlRefused: It holds something that is refused, or too much.
            ServiceException: It holds an exception report.
        """
        self._parse(self.reader.escaper.feed(data), last=False)
        self._check_sizes()

    def finish(self) -> None:
        """Parse the rest, and check that the document ends here."""
        self._parse(self.reader.escaper.rest(), last=True)
        self.reader.type_filter.require_match()

    def just_ended(self, tag: bytes) -> bool:
        """Whether the last bytes were the end tag of a feature, or of its member."""
        return self.reader.escaper.idle and self.reader.feature_end + len(tag) == self.fed

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self.reader.parser.Parse(data, last)
        except pyexpat.ExpatError as error:
            offset = max(0, self.reader.parser.ErrorByteIndex - self.fed)
            raise self._refusal(error, data[offset:], last=last) from error
        self.fed += len(data)

    def _check_sizes(self) -> None:
        reader = self.reader
        if self.fed - reader.parser.CurrentByteIndex > limits.TAG + decoding.BLOCK:
            raise GmlRefused("the document has a tag or comment of more than a megabyte")
        if reader.text and sum(map(len, reader.text)) > limits.TEXT:
            raise GmlRefused(f"the document has a text of more than {limits.TEXT >> 20} megabytes")
        if self.fed - max(reader.feature_end, reader.skipped_end) > limits.FEATURE:
            raise GmlRefused(f"a feature takes more than {limits.FEATURE >> 20} megabytes")

    def _refusal(self, error: pyexpat.ExpatError, rest: bytes, *, last: bool) -> OdsPipelineError:
        """The parser's error as ours; an exception report after it explains more."""
        report = find_report(rest)
        if report is not None:
            return report
        message = pyexpat.ErrorString(error.code)
        where = f"after {self.reader.features} features"
        if message in _REFUSED:
            return GmlRefused(f"the document has {_REFUSED[message]} ({where})")
        if last and message in _CUT:
            return Unproven(
                f"the document ends before its last element does ({where}): it was cut off"
            )
        if message == _PARSER.XML_ERROR_JUNK_AFTER_DOC_ELEMENT:
            return Unproven(f"something follows the end of the document ({where})")
        return Unproven(f"the document breaks XML's rules {where}: {message}")
