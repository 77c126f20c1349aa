"""The ExceptionReport, letter by letter as documented; when to refuse is decided elsewhere."""

from __future__ import annotations

from xml.sax.saxutils import escape

DOCUMENTED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ExceptionReport xmlns="http://www.opengis.net/ows"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"\n'
    '    xsi:schemaLocation="http://schemas.opengis.net/ows/1.1.0/owsExceptionReport.xsd"'
    ' version="{version}" language="en">\n'
    '  <Exception exceptionCode="{code}" locator="{locator}">\n'
    "    <ExceptionText>{text}</ExceptionText>\n"
    "  </Exception>\n"
    "</ExceptionReport>\n"
)
# The report's own version: 1.1.0 carries the one of OWS 1.0.
REPORTS = {"1.1.0": "1.0.0", "2.0.0": "2.0.0"}


class Refused(Exception):
    """A request that the WFS answers with an ExceptionReport."""

    def __init__(self, code: str, locator: str, text: str):
        """Say what is wrong, and with which parameter."""
        super().__init__(text)
        self.code = code
        self.locator = locator
        self.text = text

    def report(self, version: str) -> bytes:
        """The document in a version of the service."""
        parts = {
            "version": REPORTS[version],
            "code": self.code,
            "locator": escape(self.locator, {'"': "&quot;"}),
            "text": escape(self.text),
        }
        return DOCUMENTED.format(**parts).encode()


def invalid(locator: str, text: str) -> Refused:
    """A parameter whose value means nothing."""
    return Refused("InvalidParameterValue", locator, text)


def missing(locator: str) -> Refused:
    """A mandatory parameter that is not there."""
    return Refused("MissingParameterValue", locator, f"The parameter {locator} is missing.")


def internal() -> Refused:
    """What comes when the portal breaks down amid an answer."""
    return Refused("NoApplicableCode", "", "An internal error occurred.")
