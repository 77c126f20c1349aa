"""The tree of errors; every message is one sentence that a user can act on.

    OdsPipelineError
    ├── ConfigurationError        a setting or an argument is unusable (exit status 2)
    ├── PortalError               the portal did not give what was requested
    │   ├── PortalUnreachable     no connection, or none that lasted
    │   ├── NotAPortal            something answers there, but no Explore API
    │   │   ├── NoEndpoint        the address is none of the API: 404 or 410
    │   │   ├── WebPage           a login page, a firewall's, or an ordinary web site
    │   │   └── Garbled           a reply that should be JSON and is none, or not to its end
    │   ├── AccessDenied          401, 403, or a dataset whose records are not visible
    │   │   └── LoginNeeded       nobody has logged in, or the login is no longer valid
    │   ├── DatasetNotFound       404, or not in the catalog
    │   ├── RequestRefused        400: the portal says what is wrong with the query
    │   ├── QuotaExhausted        429 for longer than it makes sense to wait (exit status 3)
    │   ├── ServiceException      the WFS sent an exception report, before or amid the features
    │   └── PortalFailure         5xx, or a reply that is not what its status promises
    │       └── ServiceFailure    both: an exception report with status 5xx
    ├── DataError                 the data arrived but cannot be trusted
    │   ├── TypeMismatch          a value is not of its field's declared type
    │   ├── SchemaMismatch        the export's columns are not the dataset's fields
    │   ├── TooLarge              larger than any honest portal's
    │   ├── Unreferenced          coordinates in another reference system
    │   ├── NothingToLand         the dataset holds no records
    │   │   └── NothingToCompare      nothing of it is landed
    │   ├── GmlRefused            a GML document that cannot be read rightly, or is hostile
    │   │   └── NoXml                 something else came instead of GML
    │   ├── HeldBack              new rows that a person has to accept first
    │   └── Unproven              rows, dates or structure contradict the portal
    │       ├── Uncounted         no count of the rows can be had
    │       └── Contradicted      all of it came, and the portal says otherwise elsewhere
    │           └── Miscounted    more or fewer rows than the portal counts
    ├── TokenStoreError           a login cannot be stored or read safely (exit status 2)
    ├── StateError                what processes share cannot be reached or was lost (exit status 2)
    ├── LakeError                 a partition cannot be written, read or trusted
    │   ├── LakeUnwritable        the data folder cannot be written (exit status 2)
    │   └── Damaged               a landed file differs from what was published
    └── WarehouseError            the warehouse cannot be opened or loaded
        └── WarehouseLocked       another process is writing to it

Decisions, retries and output do not belong here.
"""

from __future__ import annotations

from datetime import datetime
from errno import EMFILE, ENFILE
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from ods_pipeline.markup import plain
from ods_pipeline.redaction import redacted, shown

#: What to say where no more files may be opened: it lies neither at the portal nor at a folder.
OUT_OF_FILES = "too many open files: raise the limit (`ulimit -n`) and run again"

_LONGEST, _DEEPEST, _FEW_FILES = 1500, 20, 256
_NO_FILES = frozenset({EMFILE, ENFILE})
_NO_FILE_LEFT, _HALF_THERE = "Too many open files", "partially initialized module"


class OdsPipelineError(Exception):
    """The root of all errors that this package raises on purpose.

    Args:
        message: One sentence; secrets in URLs are removed.
        portal: Slug or address of the portal concerned.
        dataset: Identifier of the dataset concerned.
        url: Address of the request; secrets are removed.
    """

    #: Exit status where this ends a whole run; a failed dataset among others makes it 1.
    exit_status = 1
    #: Bytes that were fetched in vain.
    received = 0

    def __init__(self, message: str, *, portal: str = "", dataset: str = "", url: str = "") -> None:
        self.message = plain(redacted(message), _LONGEST)
        super().__init__(self.message)
        self.portal = portal
        self.dataset = dataset
        self.url = redacted(url)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error be pickled whatever its constructor takes: steps of a job hand it on."""
        return _restored, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        """The sentence, with the dataset before it and the URL after it where they are known."""
        dataset = plain(self.dataset, _LONGEST)
        lead = "" if self.message.startswith(dataset) else f"{dataset}: "
        tail = f" ({self.url})" if self.url and self.url not in self.message else ""
        return f"{lead}{self.message}{tail}"


def _restored(
    kind: type[OdsPipelineError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> OdsPipelineError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class ConfigurationError(OdsPipelineError):
    """A setting or an argument is unusable."""

    exit_status = 2


class PortalError(OdsPipelineError):
    """The portal did not give what was requested."""

    #: Whether the request was repeated already, without success.
    repeated = False
    #: Whether repeating the request makes no sense.
    final = False


class PortalUnreachable(PortalError):
    """No connection to the portal, or none that lasted."""

    exit_status = 2


class NotAPortal(PortalError):
    """Something answers at the address, but not an Explore API v2.1."""

    exit_status = 2


class NoEndpoint(NotAPortal):
    """The portal has nothing at an address of the API (status 404 or 410)."""


class WebPage(NotAPortal):
    """A web page came instead of data, though its status promised data."""


class Garbled(NotAPortal):
    """A reply that should be JSON is not, or breaks off, or goes on after its end."""


class AccessDenied(PortalError):
    """The portal does not allow this to everybody, or not to this user.

    Attributes:
        said: The portal's own words, if it gave any.
    """

    exit_status = 2

    def __init__(self, message: str, *, said: str = "", **context: str) -> None:
        super().__init__(message, **context)
        self.said = redacted(said)


class LoginNeeded(AccessDenied):
    """Nobody has logged in, or the login is no longer valid: a person has to log in."""


class DatasetNotFound(PortalError):
    """The portal has no dataset of this identifier, or shows none."""


class RequestRefused(PortalError):
    """The portal refused the query as malformed and said why."""

    #: Whether it is the ODSQL that is wrong, and so wrong in every format.
    of_odsql = False


class PortalFailure(PortalError):
    """The portal failed, or its reply is not what its status promises."""


class QuotaExhausted(PortalError):
    """The portal's request quota is spent for longer than it makes sense to wait.

    Attributes:
        reset: When the quota starts again, if the portal says so.
        of_dataset: Whether it is the quota of one dataset, so that others may still be read.
    """

    of_dataset = False
    exit_status = 3

    def __init__(self, message: str, *, reset: datetime | None = None, **context: str) -> None:
        super().__init__(message, **context)
        self.reset = reset


class ServiceException(PortalError):
    """The WFS answered with an exception report, instead of features or in the middle of them.

    Attributes:
        code: The report's `exceptionCode`, such as `InvalidParameterValue`.
        locator: What the report points at, such as a parameter's name; often empty.
        text: The server's explanation.
    """

    def __init__(self, code: str, locator: str = "", text: str = "", **context: str) -> None:
        about = f" about {locator}" if locator else ""
        why = f": {text.rstrip('.')}" if text else ""
        super().__init__(f"the WFS reports {code or 'an exception'}{about}{why}", **context)
        self.code, self.locator, self.text = code, redacted(locator), redacted(text)


class ServiceFailure(ServiceException, PortalFailure):
    """An exception report of a server that failed (status 500 and above): it may pass."""


class DataError(OdsPipelineError):
    """The data arrived but cannot be trusted."""

    #: Whether the same would come of the same data, so that they need not be fetched again.
    lasting = False


class TypeMismatch(DataError):
    """Values are not of the types that the portal declares for their fields.

    Attributes:
        field: Technical name of the first field concerned.
        row: Number of its first such record in the export, the first being 1.
        value: The value in the export, as text without secrets.
        further: How many other such values there are, with examples; empty for none.
    """

    lasting = True

    def __init__(
        self, field: str, row: int, value: object, kind: str, further: str = "", own: bool = False
    ) -> None:
        holds = f"{shown(value)}; and {further}" if further else shown(value)
        by, advice = "declared", "ask the publisher to correct the field's type"
        if own:
            by, advice = "read", "correct `types`, or land the others with `bad_values`"
        sentence = f"field {field!r} is {by} as {kind}, but record {row} holds {holds}; {advice}"
        super().__init__(sentence)
        self.field, self.row, self.further = field, row, further
        self.value = redacted(value if isinstance(value, str) else repr(value))


class SchemaMismatch(DataError):
    """The export's columns are not the fields that the portal declares."""


class NothingToLand(DataError):
    """The dataset has no records, at most attachments or links."""


class NothingToCompare(NothingToLand):
    """A comparison was asked for, and nothing of the dataset is landed."""


class TooLarge(DataError):
    """What came is larger than any honest portal's."""

    lasting = True


class Unreferenced(DataError):
    """Coordinates are not in longitude and latitude, or may not be."""

    lasting = True


class GmlRefused(DataError):
    """A GML document cannot be read correctly, or is hostile."""

    lasting = True


class NoXml(GmlRefused):
    """Something other than XML came instead of GML."""

    lasting = False


class Unproven(DataError):
    """Rows, dates or structure of the data contradict what the portal says."""


class Contradicted(Unproven):
    """All of the data came, and the portal says otherwise elsewhere: it may do so for good."""


class Miscounted(Contradicted):
    """More or fewer rows came than the portal counts.

    Attributes:
        rows: Rows that came.
        counted: Rows that the portal counts.
    """

    def __init__(self, message: str, *, rows: int, counted: int, **context: str) -> None:
        super().__init__(message, **context)
        self.rows, self.counted = rows, counted


class Uncounted(Unproven):
    """The portal has no count that the rows could be compared with, or one that contradicts them.

    Attributes:
        rows: Rows that came.
    """

    def __init__(self, message: str, *, rows: int, **context: str) -> None:
        super().__init__(message, **context)
        self.rows = rows


class FilesMissing(DataError):
    """Some of a dataset's files did not come; those that did are kept."""


class HeldBack(DataError):
    """The new rows may be a mistake: the old rows stay until a person accepts the new ones.

    Attributes:
        verdict: `emptied`, `shrunk`, `frozen`, `quarantined` or `unproven`.
        change: How the columns differ, for people; empty if they are not the reason.
        views: The views that have to be dropped first, where accepting helps nothing.
    """

    def __init__(self, verdict: str, message: str, *, change: str = "", **context: str) -> None:
        super().__init__(message, **context)
        self.verdict, self.change = verdict, change
        self.views: tuple[str, ...] = ()


class TokenStoreError(OdsPipelineError):
    """A login cannot be stored in its place, or not be read from there safely."""

    exit_status = 2


class StateError(OdsPipelineError):
    """What processes share, such as a lock, cannot be reached or was lost."""

    exit_status = 2


class LakeError(OdsPipelineError):
    """A partition cannot be written, read or trusted."""


class LakeUnwritable(LakeError):
    """The data folder cannot be written."""

    exit_status = 2


class Damaged(LakeError):
    """A landed file differs from what was published."""


class WarehouseError(OdsPipelineError):
    """The warehouse cannot be opened or loaded."""


class WarehouseLocked(WarehouseError):
    """Another process is writing to the warehouse."""


def out_of_files(error: BaseException | None) -> bool:
    """Whether the reason of an error, however deep, is that no more files may be opened.

    Libraries of C++ tell it in their words alone.
    """
    for _ in range(_DEEPEST):
        if not isinstance(error, BaseException):
            return False
        if getattr(error, "errno", None) in _NO_FILES or _NO_FILE_LEFT in str(error):
            return True
        if _half_imported(error):
            return getrlimit(RLIMIT_NOFILE)[0] <= _FEW_FILES
        first = error.args[0] if error.args else None
        inner = getattr(error, "reason", None) or error.__cause__ or first
        error = inner if inner is not error else None
    return False


def _half_imported(error: BaseException) -> bool:
    """Whether a module that is installed could not be read.

    Python says of it that it is not there, or to another thread that it is half there.
    """
    name = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if name and ("." in name or name == __package__):
        return True
    return isinstance(error, ImportError | AttributeError) and _HALF_THERE in str(error)


def unexpected_error(error: Exception, dataset: str) -> OdsPipelineError:
    """Wrap an unexpected exception as the failure of one dataset."""
    if out_of_files(error):
        return OdsPipelineError(OUT_OF_FILES, dataset=dataset)
    message = f"{type(error).__name__}: {error}; this is a mistake of ours, please report it"
    return OdsPipelineError(message, dataset=dataset)
