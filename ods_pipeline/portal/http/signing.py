"""What all credentials have in common: they are sent to one portal, and never written down.

Not even by libraries, of which urllib3 logs URLs and requests-oauthlib tokens, at level DEBUG. The
kinds of credentials belong to `portal/auth`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from hashlib import sha256
from typing import NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from ods_pipeline.redaction import redacted

#: Log addresses, in which a key or token may stand.
_LOG_ADDRESSES = ("urllib3.connectionpool", "urllib3.util.retry")
#: Log whole requests and replies of a token endpoint, with tokens that are not yet known to us.
_LOG_TOKENS = ("requests_oauthlib.oauth2_session", "requests_oauthlib.oauth2_auth")


class Sealed:
    """Holds a secret, so it refuses to be pickled or copied: no file gets it by mistake."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and is not pickled; "
            "make it anew in the other process, from its environment"
        )


class Signer(Sealed, ABC):
    """Signs the requests to one portal. Threads may share it.

    Attributes:
        quota_owner: Whose quota the requests count against, without secrets: part of a file's name.
    """

    quota_owner: str

    @abstractmethod
    def secret(self) -> str:
        """What to show now; a token that has run out is renewed first.

        Raises:
            LoginNeeded: There is no login.
            PortalError: It cannot be renewed now.
            TokenStoreError: It cannot be read.
        """

    @abstractmethod
    def show(self, request: requests.PreparedRequest, secret: str) -> None:
        """Put a secret onto a request to the portal."""

    def another(self, rejected: str, *, certainly: bool) -> str | None:
        """What to show instead of a secret that was refused; None where nothing better is known.

        Args:
            rejected: What was shown.
            certainly: Whether the portal said so, and not just sent a web page.

        Raises:
            LoginNeeded: A person is needed.
            PortalError: It cannot be renewed now.
            TokenStoreError: It cannot be read or kept.
        """
        return None

    def accepted(self, secret: str) -> None:
        """Hear that the portal took what was shown."""
        return None

    @abstractmethod
    def refusal(self, status: int, said: str) -> str:
        """What to tell a user, with what to do, if the portal refuses.

        Args:
            status: 401 or 403.
            said: The portal's own words; often none.
        """

    @abstractmethod
    def at_a_login_page(self) -> str:
        """What it means that the portal leads to its login page."""


class Credentials(Sealed, ABC):
    """What a user has to show, whatever portal they come to.

    They stand in no message, `repr` or pickle: other processes make their own.
    """

    @abstractmethod
    def at(self, address: Address) -> Signer:
        """What signs the requests to a portal.

        Raises:
            ConfigurationError: They cannot be used there.
        """


class Anonymous(Signer):
    """Nothing to show: what a portal gives to everybody."""

    quota_owner = "anonymous"

    def secret(self) -> str:
        """Nothing."""
        return ""

    def show(self, request: requests.PreparedRequest, secret: str) -> None:
        """Leave the request as it is."""

    def refusal(self, status: int, said: str) -> str:
        """Which credentials there are."""
        return (
            f"the portal refuses access without credentials{quoted(said)}; set ODS_API_KEY, or "
            "ODS_CLIENT_ID and run `ods-pipeline login`"
        )

    def at_a_login_page(self) -> str:
        """What a private portal needs."""
        return "a private portal needs ODS_API_KEY, or ODS_CLIENT_ID and `ods-pipeline login`"


def quota_owner_of(kind: str, text: str) -> str:
    """A name for the owner of a quota that tells two owners apart, and gives neither away."""
    return f"{kind}-{sha256(text.encode()).hexdigest()[:12]}"


def quoted(said: str) -> str:
    """The portal's own words in brackets, if it had any."""
    return f" ({said})" if said else ""


def require_private(address: Address) -> None:
    """Refuse to send credentials where others could read them on the way.

    Raises:
        ConfigurationError: The portal is asked by plain http.
    """
    if not address.private:
        raise ConfigurationError(
            f"{address.base} is plain http, by which no credential is sent; "
            "give the portal's https address"
        )


def with_parameter(url: str, name: str, value: str) -> str:
    """A URL with one query parameter set, whatever value it had before."""
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*kept, (name, value)])))


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redacted(record.getMessage()), ()
    return True


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


for _name in _LOG_ADDRESSES:
    logging.getLogger(_name).addFilter(_without_secrets)
for _name in _LOG_TOKENS:
    logging.getLogger(_name).addFilter(_above_debug)
