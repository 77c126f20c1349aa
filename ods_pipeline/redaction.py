"""Removes secrets from text: those that a URL can contain, and those that are in use.

Errors and logs pass through here. Reading and storing secrets does not belong here.
"""

from __future__ import annotations

import html
import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

_SECRET = re.compile(
    # The last three sign addresses of objects, for those who hold no key.
    r"(?i)([?&](?:apikey|access_token|refresh_token|client_secret|code|sig|x-amz-signature"
    r"|x-goog-signature)=)[^&#\s]*"
)
_PERCENT = re.compile("%[0-9A-F]{2}")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")

_SHORTEST, _LONGEST_VALUE = 4, 80
# Configured secrets stay for good. A process that runs for months sees a new token every hour: the
# last ones are enough.
_CONFIGURED: set[str] = set()
_TEMPORARY: OrderedDict[str, None] = OrderedDict()
_MOST_TEMPORARY = 512


def keep_secret(*values: str, passing: bool = False) -> None:
    """Remove these values from every message from now on, wherever a portal may repeat them.

    Args:
        values: Keys, tokens, passwords. Very short ones are ignored: they occur in any message.
        passing: Whether they are temporary, like tokens.
    """
    forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
    if not passing:
        _CONFIGURED.update(forms)
        return
    # Each step is atomic, and none removes what another thread has just added.
    for form in forms:
        _TEMPORARY[form] = None
        with suppress(KeyError):
            _TEMPORARY.move_to_end(form)
    while len(_TEMPORARY) > _MOST_TEMPORARY:
        _TEMPORARY.popitem(last=False)


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as it is written in URLs, HTML and JSON."""
    yield value
    # What cannot be encoded, such as half an emoji, is in no URL.
    encodable = value.encode("utf-8", "replace").decode()
    for quoted in (quote(encodable, safe=""), quote_plus(encodable)):
        yield quoted
        yield _PERCENT.sub(lambda match: match[0].lower(), quoted)
    yield html.escape(value)
    yield json.dumps(value)[1:-1]


def redacted(text: str) -> str:
    """A text without the secrets that a URL can contain, and without those that are in use."""
    text = _SECRET.sub(r"\1…", _USERINFO.sub("", text))
    for secret in sorted([*_CONFIGURED, *_TEMPORARY], key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def excerpt(text: str, most: int) -> str:
    """The beginning of a text for a message; a secret that the cut would halve is removed first."""
    whole = redacted(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def shown(value: object) -> str:
    """A value of a portal for a message: without secrets, and cut where it is long."""
    return excerpt(repr(value), _LONGEST_VALUE)
