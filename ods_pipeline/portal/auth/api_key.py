"""API keys: one secret, made on the portal's account page, with the rights of its user.

Logins of people belong to the other files of this folder.
"""

from __future__ import annotations

import re

import requests

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.signing import (
    Credentials,
    Signer,
    quota_owner_of,
    quoted,
    require_private,
    with_parameter,
)
from ods_pipeline.redaction import keep_secret

# What a header can carry; a key with a line break in it was copied with more than itself.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class ApiKey(Credentials):
    """An API key, sent as `Authorization: Apikey …`.

    Examples:
        >>> ApiKey("0123456789abcdef")
        ApiKey(…)
    """

    def __init__(self, key: str, *, in_query: bool = False) -> None:
        """Take a key, without spaces around it.

        Args:
            key: The key.
            in_query: Send it as the query parameter `apikey` instead, for proxies that lose the
                header. Web servers log queries: prefer the header.

        Raises:
            ConfigurationError: It is empty, or no key at all.
        """
        # What os.environ.get gives for a variable that is not set.
        self._key = (key or "").strip()
        self.in_query = in_query
        if not _VISIBLE.fullmatch(self._key):
            state = "has spaces or other unusual characters in it" if self._key else "is empty"
            raise ConfigurationError(f"the API key {state}; copy it again from the account page")
        keep_secret(self._key)

    def __repr__(self) -> str:
        """Its kind alone."""
        return "ApiKey(…)"

    def at(self, address: Address) -> Signer:
        """What signs the requests to a portal.

        Raises:
            ConfigurationError: The portal is asked by plain http.
        """
        require_private(address)
        return _KeySigner(self._key, self.in_query, address)


class _KeySigner(Signer):
    def __init__(self, key: str, in_query: bool, address: Address) -> None:
        self._key, self._in_query, self._address = key, in_query, address
        self.quota_owner = quota_owner_of("key", key)

    def secret(self) -> str:
        return self._key

    def show(self, request: requests.PreparedRequest, secret: str) -> None:
        if self._in_query:
            request.url = with_parameter(request.url or "", "apikey", secret)
        else:
            request.headers["Authorization"] = f"Apikey {secret}"

    def refusal(self, status: int, said: str) -> str:
        if status == 403:
            return (
                f"the API key does not open this{quoted(said)}: its user has no right to it, or "
                f"the key is not valid; ask the administrators of {self._address.base}"
            )
        return (
            f"the portal does not take the API key{quoted(said)}: it is wrong, revoked or expired; "
            f"make a new one on your account page at {self._address.base} and set ODS_API_KEY"
        )

    def at_a_login_page(self) -> str:
        return "the API key may be wrong, revoked or expired"
