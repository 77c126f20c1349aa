"""Feeding the XML parser: its refusals in our words, and bounds on what it has to remember.

What the parser's events mean is `reader`'s work.
"""

from __future__ import annotations

import pyexpat

from ods_pipeline.errors import GmlRefused, OdsPipelineError, Unproven
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.reader import Reader
from ods_pipeline.portal.gml.reports import glimpse

_PARSER = pyexpat.errors
# What is wrong with the document itself, rather than that it stops or goes on where it should not.
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


class Parsing:
    """A document on its way into a reader.

    Attributes:
        reader: Where the events go.
        fed: Bytes that the parser was given.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.fed = 0

    def feed(self, data: bytes) -> None:
        """Parse some more.

        Raises:
            Unproven: The document breaks off, or breaks XML's rules.
            GmlRefused: It holds what is refused, or more than is kept.
            ServiceException: It holds an exception report.
        """
        self._parse(self.reader.mender.feed(data), last=False)
        self._check_sizes()

    def finish(self) -> None:
        """Parse what still waits, and see that the document ends here."""
        self._parse(self.reader.mender.rest(), last=True)
        self.reader.choice.check()

    def just_ended(self, tag: bytes) -> bool:
        """Whether the last bytes fed were the end tag of a feature, or of its member."""
        return self.reader.mender.idle and self.reader.ended + len(tag) == self.fed

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
        if self.fed - max(reader.ended, reader.skipped) > limits.FEATURE:
            raise GmlRefused(f"a feature takes more than {limits.FEATURE >> 20} megabytes")

    def _refusal(self, error: pyexpat.ExpatError, rest: bytes, *, last: bool) -> OdsPipelineError:
        """The parser's refusal in our words; an exception report in what follows says more."""
        reported = glimpse(rest)
        if reported is not None:
            return reported
        said = pyexpat.ErrorString(error.code)
        where = f"after {self.reader.features} features"
        if said in _REFUSED:
            return GmlRefused(f"the document has {_REFUSED[said]} ({where})")
        if last and said in _CUT:
            return Unproven(f"the document ends before its last element does ({where}): it was cut")
        if said == _PARSER.XML_ERROR_JUNK_AFTER_DOC_ELEMENT:
            return Unproven(f"something follows the end of the document ({where})")
        return Unproven(f"the document breaks XML's rules {where}: {said}")
