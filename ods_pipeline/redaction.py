"""Takes secrets out of text: those that an address can carry, and those that are in use.

It knows nothing of where texts come from or go to; errors and logs pass through here.
"""

from __future__ import annotations

import html
import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

_SECRET = re.compile(r"(?i)([?&](?:apikey|access_token|refresh_token|client_secret|code)=)[^&#\s]*")
_PERCENT = re.compile("%[0-9A-F]{2}")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")

_SHORTEST = 4
# What was configured stays for good. Of tokens, a process that runs for months sees a new one every
# hour: the last ones are enough.
_CONFIGURED: set[str] = set()
_PASSING: OrderedDict[str, None] = OrderedDict()
_MOST_PASSING = 512


def keep_secret(*values: str, passing: bool = False) -> None:
    """Take these values out of every message from now on, wherever a portal may repeat them.

    Args:
        values: Keys, tokens, passwords. Too short ones are words of any message, and left.
        passing: Whether they serve for a while only, like tokens.
    """
    forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
    if not passing:
        _CONFIGURED.update(forms)
        return
    # Each step is whole by itself, and none takes away what another thread is about to redact.
    for form in forms:
        _PASSING[form] = None
        with suppress(KeyError):
            _PASSING.move_to_end(form)
    while len(_PASSING) > _MOST_PASSING:
        _PASSING.popitem(last=False)


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as addresses, web pages and JSON write it."""
    yield value
    # What no encoding knows, such as half an emoji, is in no address.
    known = value.encode("utf-8", "replace").decode()
    for quoted in (quote(known, safe=""), quote_plus(known)):
        yield quoted
        yield _PERCENT.sub(lambda found: found[0].lower(), quoted)
    yield html.escape(value)
    yield json.dumps(value)[1:-1]


def redacted(text: str) -> str:
    """Text without the secrets that a URL can carry, and without those that are in use.

    Args:
        text: A URL, or a sentence that quotes one.
    """
    shown = _SECRET.sub(r"\1…", _USERINFO.sub("", text))
    for secret in sorted([*_CONFIGURED, *_PASSING], key=len, reverse=True):
        shown = shown.replace(secret, "…")
    return shown
