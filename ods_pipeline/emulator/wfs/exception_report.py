"""The error of the WFS and its ExceptionReport, exactly as documented.

When a request is refused is decided elsewhere.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

REPORT = (
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
REPORT_VERSIONS = {"1.1.0": "1.0.0", "2.0.0": "2.0.0"}


class WfsError(Exception):
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
            "version": REPORT_VERSIONS[version],
            "code": self.code,
            "locator": escape(self.locator, {'"': "&quot;"}),
            "text": escape(self.text),
        }
        return REPORT.format(**parts).encode()


def invalid_parameter(locator: str, text: str) -> WfsError:
    """The error for a parameter with an invalid value."""
    return WfsError("InvalidParameterValue", locator, text)


def missing_parameter(locator: str) -> WfsError:
    """The error for a mandatory parameter that is missing."""
    return WfsError("MissingParameterValue", locator, f"The parameter {locator} is missing.")


def internal_error() -> WfsError:
    """The error for a failure in the middle of an answer."""
    return WfsError("NoApplicableCode", "", "An internal error occurred.")
