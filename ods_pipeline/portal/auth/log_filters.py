"""Keeps secrets out of the logs of libraries: urllib3 logs URLs, requests-oauthlib logs tokens.

Both do so at level DEBUG. Our own messages are redacted in `redaction`.
"""

from __future__ import annotations

import logging

from ods_pipeline.redaction import redacted

#: Log addresses, in which a key or token may stand.
_ADDRESSES = ("urllib3.connectionpool", "urllib3.util.retry")
#: Log whole requests and replies of a token endpoint, with tokens that are not yet known to us.
_TOKENS = ("requests_oauthlib.oauth2_session", "requests_oauthlib.oauth2_auth")


def install() -> None:
    """Put the filters onto the libraries' loggers; again and again changes nothing."""
    for name in _ADDRESSES:
        logging.getLogger(name).addFilter(_without_secrets)
    for name in _TOKENS:
        logging.getLogger(name).addFilter(_above_debug)


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redacted(record.getMessage()), ()
    return True


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
