"""What can go wrong, in one tree; every message is one sentence that a user can act on.

    OdsPipelineError
    ├── ConfigurationError        a setting or an argument is unusable (exit status 2)
    ├── PortalError               the portal did not give what was asked
    │   ├── PortalUnreachable     no connection, or none that lasted
    │   ├── NotAPortal            something answers there, but no Explore API
    │   │   ├── WebPage           a login page, a firewall's, or an ordinary web site
    │   │   └── Garbled           a reply that should be JSON and is none, or not to its end
    │   ├── AccessDenied          401, 403, or a dataset whose records are not visible
    │   │   └── LoginNeeded       nobody has logged in, or the login serves no more
    │   ├── DatasetNotFound       404, or not in the catalog
    │   ├── RequestRefused        400: the portal says what is wrong with the query
    │   ├── QuotaExhausted        429 for longer than it is worth waiting (exit status 3)
    │   ├── ServiceException      the WFS sent an exception report, before or amid the features
    │   └── PortalFailure         5xx, or a reply that is not what its status promises
    │       └── ServiceFailure    both: an exception report with status 5xx
    ├── DataError                 the data arrived and cannot be trusted
    │   ├── TypeMismatch          a value is not of its field's declared type
    │   ├── SchemaMismatch        the export's columns are not the dataset's fields
    │   ├── NothingToLand         the dataset holds no records
    │   │   └── NothingToCompare      nothing of it is landed
    │   ├── GmlRefused            a GML document that cannot be read rightly, or is hostile
    │   │   └── NoXml                 anything else came where GML should be
    │   ├── HeldBack              new rows that a person has to accept first
    │   └── Unproven              rows, dates or structure contradict the portal
    │       └── Miscounted        more or fewer rows than the portal counts
    ├── TokenStoreError           a login cannot be kept, or not be read safely (exit status 2)
    ├── LakeError                 a partition cannot be written, read or believed
    │   ├── LakeUnwritable        the data folder is no place to write to (exit status 2)
    │   └── Damaged               a landed file is not what was published
    └── WarehouseError            the warehouse cannot be opened or loaded
        └── WarehouseLocked       another process is writing to it

This module holds the vocabulary of failure alone: nothing here decides, retries or prints.
"""

from __future__ import annotations

import re
from datetime import datetime

from ods_pipeline.redaction import redacted

# Portals and files are quoted in messages.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LONGEST = 1500


def _sentence(text: str) -> str:
    """A message without what would move a terminal's cursor, and no longer than can be read."""
    plain = _CONTROL.sub(" ", text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


class OdsPipelineError(Exception):
    """The root: catching it catches all that this package raises on purpose.

    Args:
        message: One sentence; secrets in URLs are taken out of it.
        portal: Slug or address of the portal concerned.
        dataset: Identifier of the dataset concerned.
        url: Address that was asked; secrets are taken out of it.
    """

    #: Exit status where this ends a whole run; a dataset that fails among others makes it 1.
    exit_status = 1

    def __init__(self, message: str, *, portal: str = "", dataset: str = "", url: str = "") -> None:
        self.message = _sentence(redacted(message))
        super().__init__(self.message)
        self.portal = portal
        self.dataset = dataset
        self.url = redacted(url)

    def __str__(self) -> str:
        """The sentence, led by the dataset and followed by the URL where they are known."""
        dataset = _sentence(self.dataset)
        lead = "" if self.message.startswith(dataset) else f"{dataset}: "
        tail = f" ({self.url})" if self.url and self.url not in self.message else ""
        return f"{lead}{self.message}{tail}"


class ConfigurationError(OdsPipelineError):
    """A setting or an argument is unusable."""

    exit_status = 2


class PortalError(OdsPipelineError):
    """The portal did not give what was asked."""

    #: Whether asking again was tried already and did not help.
    repeated = False
    #: Whether asking again makes no sense.
    final = False


class PortalUnreachable(PortalError):
    """No connection to the portal, or none that lasted."""

    exit_status = 2


class NotAPortal(PortalError):
    """Something answers at the address, but it is no Explore API v2.1."""

    exit_status = 2


class WebPage(NotAPortal):
    """A web page came instead of data, though its status promised data."""


class Garbled(NotAPortal):
    """A reply that should be JSON is none, or breaks off, or goes on after its end."""


class AccessDenied(PortalError):
    """The portal keeps this to others, or to those who show a credential.

    Attributes:
        said: The portal's own words, if it had any.
    """

    exit_status = 2

    def __init__(
        self, message: str, *, said: str = "", portal: str = "", dataset: str = "", url: str = ""
    ) -> None:
        super().__init__(message, portal=portal, dataset=dataset, url=url)
        self.said = redacted(said)


class LoginNeeded(AccessDenied):
    """Nobody has logged in to the portal, or the login serves no more: a person is needed."""


class DatasetNotFound(PortalError):
    """The portal has no dataset of this identifier, or shows none."""


class RequestRefused(PortalError):
    """The portal refused the query as malformed and said why."""


class PortalFailure(PortalError):
    """The portal failed, or its reply is not what its status promises."""


class QuotaExhausted(PortalError):
    """The portal's request quota is spent for longer than it is worth waiting.

    Attributes:
        reset: When the portal says that the quota starts anew, if it says so.
        of_dataset: Whether it is one dataset's own quota, which says nothing of the others'.
    """

    of_dataset = False

    exit_status = 3

    def __init__(
        self, message: str, *, reset: datetime | None = None, portal: str = "", url: str = ""
    ) -> None:
        super().__init__(message, portal=portal, url=url)
        self.reset = reset


class ServiceException(PortalError):
    """The WFS answered with an exception report, instead of features or in the middle of them.

    Attributes:
        code: The report's `exceptionCode`, such as `InvalidParameterValue`.
        locator: What the report points at, such as a parameter's name; often empty.
        text: What it says, in the server's words.
    """

    def __init__(
        self, code: str, locator: str = "", text: str = "", *, portal: str = "", url: str = ""
    ) -> None:
        about = f" about {locator}" if locator else ""
        said = f": {text.rstrip('.')}" if text else ""
        super().__init__(
            f"the WFS reports {code or 'an exception'}{about}{said}", portal=portal, url=url
        )
        self.code, self.locator, self.text = code, redacted(locator), redacted(text)


class ServiceFailure(ServiceException, PortalFailure):
    """An exception report of a server that failed (status 500 and above): it may pass."""


class DataError(OdsPipelineError):
    """The data arrived and cannot be trusted."""


class TypeMismatch(DataError):
    """A value is not of the type that the portal declares for its field.

    Attributes:
        field: Technical name of the field.
        row: Number of the record in the export, the first being 1.
        value: The value as it came, shortened.
    """

    def __init__(self, field: str, row: int, value: object, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "…"
        super().__init__(
            f"field {field!r} is declared as {expected}, but record {row} holds {shown}; "
            "ask the publisher to correct the field's type"
        )
        self.field, self.row, self.value = field, row, value


class SchemaMismatch(DataError):
    """The export's columns are not the fields that the portal declares."""


class NothingToLand(DataError):
    """The dataset holds no records: attachments or links at most."""


class NothingToCompare(NothingToLand):
    """A comparison was asked for, and nothing of the dataset is landed."""


class GmlRefused(DataError):
    """A GML document holds what cannot be read rightly, or what no honest document holds."""


class NoXml(GmlRefused):
    """What came where GML should be is no XML at all."""


class Unproven(DataError):
    """Rows, dates or structure of what arrived contradict what the portal says."""


class Miscounted(Unproven):
    """More or fewer rows came than the portal counts.

    Attributes:
        rows: Rows that came.
        counted: What the portal counts.
    """

    def __init__(
        self, message: str, *, rows: int, counted: int, portal: str = "", dataset: str = ""
    ) -> None:
        super().__init__(message, portal=portal, dataset=dataset)
        self.rows, self.counted = rows, counted


class HeldBack(DataError):
    """What the portal has now may be a mishap: the rows of before stay until a person accepts it.

    Attributes:
        verdict: `emptied`, `shrunk` or `frozen`.
    """

    def __init__(self, verdict: str, message: str, *, portal: str = "", dataset: str = "") -> None:
        super().__init__(message, portal=portal, dataset=dataset)
        self.verdict = verdict


class TokenStoreError(OdsPipelineError):
    """A login cannot be kept where it is to be kept, or not be read from there safely."""

    exit_status = 2


class LakeError(OdsPipelineError):
    """A partition cannot be written, read or believed."""


class LakeUnwritable(LakeError):
    """The data folder is no place to write to."""

    exit_status = 2


class Damaged(LakeError):
    """A landed file is not what was published."""


class WarehouseError(OdsPipelineError):
    """The warehouse cannot be opened or loaded."""


class WarehouseLocked(WarehouseError):
    """Another process is writing to the warehouse."""


def unexpected_error(error: Exception, dataset: str) -> OdsPipelineError:
    """What nobody thought of, as the failure of the one dataset that it happened to."""
    told = f"{type(error).__name__}: {error}; this is a mistake of ours, please report it"
    return OdsPipelineError(told, dataset=dataset)
