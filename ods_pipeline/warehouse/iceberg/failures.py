"""Errors of catalogs and stores as one sentence: what is wrong, and what to do about it.

Nothing is tried again here.
"""

from __future__ import annotations

from ods_pipeline.errors import WarehouseError
from ods_pipeline.redaction import excerpt

_MOST = 300
_SENTENCES = (
    (
        ("UnauthorizedError", "OAuthError", "AuthorizationExpiredError", "ForbiddenError"),
        "{where} does not let you in ({said}): correct its credentials in pyiceberg's "
        "configuration, and what they may do",
    ),
    (
        ("CommitStateUnknownException", "ServerError", "ServiceUnavailableError"),
        "{where} did not say whether it did it ({said}): the next run looks, and loads what is "
        "missing",
    ),
    (
        ("NotImplementedError",),
        "{where} cannot do that ({said}): drop the table there, and the next run loads it",
    ),
    (
        ("OSError", "ArrowInvalid"),
        "a file of {where} cannot be read or written ({said}): check that the place of its tables "
        "is right, and that there is space and a right to write",
    ),
)
_NAMES = (
    "{where} takes no such name of a table ({said}): add ?own_tables=plain to the warehouse's URL, "
    'and have tables named with table_names = "snake"'
)
_REFUSED = "{where} refused or cannot be reached ({said}): check it in pyiceberg's configuration"


def failure(error: Exception, where: str, *, portal: str = "", dataset: str = "") -> WarehouseError:
    """One sentence for an error, without what a library adds to its first line.

    Args:
        error: As it was raised.
        where: The catalog.
        portal: The portal concerned.
        dataset: The dataset concerned.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    # Of `requests`, whose errors are those of files as well.
    known = () if "RequestException" in kinds else _SENTENCES
    sentence = next((text for names, text in known if kinds & set(names)), _REFUSED)
    if "table name" in str(error):
        # S3 Tables and those like it: letters, digits and `_`, with no `_` first.
        sentence = _NAMES
    said = excerpt(str(error).strip().partition("\n")[0].strip(". "), _MOST)
    text = sentence.format(where=where, said=said or type(error).__name__)
    return WarehouseError(text, portal=portal, dataset=dataset)
