"""Object stores: opened by their addresses with each cloud's own credentials, and their errors.

No secret is in an address or an error. What is kept in a store does not belong here.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.redaction import excerpt, keep_secret, redacted

if TYPE_CHECKING:
    from obstore.store import ObjectStore

#: Schemes of the addresses, with the cloud that each is of.
SCHEMES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}

_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT",),
}
# A store may repeat what it was sent.
_SECRETS = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
    *("AZURE_CLIENT_SECRET", "GOOGLE_SERVICE_ACCOUNT_KEY"),
)
_RETRIES = {"max_retries": 8, "retry_timeout": timedelta(seconds=90)}
_SAID = 200
_STRUCTURE = "\n\nDebug source"


def checked(address: str) -> str:
    """The address of a folder in a store, as it is used. Nothing is asked of the store yet.

    Args:
        address: `s3://BUCKET`, `gs://BUCKET` or `az://CONTAINER`, with a prefix if wanted.

    Raises:
        ConfigurationError: It is no such address; or the extra `bucket` is not installed.
    """
    scheme, _, rest = address.partition("://")
    rest = rest.strip("/")
    if scheme.lower() not in SCHEMES or not re.fullmatch(r"[^/@?#\s]+(/[^?#\s]+)?", rest):
        raise ConfigurationError(
            f"{redacted(address)} is no place for data: ODS_DATA_DIR is a folder, or s3://BUCKET, "
            "gs://BUCKET or az://CONTAINER, with a prefix if wanted; credentials come from the "
            "cloud's own variables"
        )
    root = f"{scheme.lower()}://{rest}"
    store(root)
    return root


def library() -> Any:
    """The library of object stores, which nothing else has to load.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import obstore
    except ImportError:
        raise ConfigurationError(
            "a data folder in a bucket needs the extra `bucket`: "
            "install it with `pip install 'ods-pipeline[bucket]'`"
        ) from None
    return obstore


@cache
def store(root: str) -> ObjectStore:
    """The store of an address.

    Raises:
        ConfigurationError: It cannot be used with what the environment says of it.
    """
    library()
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    keep_secret(*filter(None, map(os.environ.get, _SECRETS)))
    scheme = root.partition(":")[0]
    given: dict[str, Any] = {"retry_config": _RETRIES}
    if scheme == "az" and not os.environ.get("AZURE_STORAGE_ACCOUNT_NAME"):
        given.update(_connection(os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")))
    named = map(os.environ.get, _ENDPOINTS[scheme])
    endpoint = given.get("endpoint") or next(filter(None, named), "")
    # A plain address was meant by who named it; the library wants to be told again.
    if endpoint.startswith("http://"):
        given["client_options"] = {"allow_http": True}
    provider = _aws_credentials() if scheme == "s3" else None
    if provider:
        given["credential_provider"] = provider
    try:
        return from_url(root, **given)
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            f"{root} cannot be used as data folder ({_said(error)}): see the variables of "
            f"{SCHEMES[scheme]}"
        ) from error


def _connection(text: str) -> dict[str, str]:
    """What a connection string of Azure says, which the library does not read.

    Raises:
        ConfigurationError: It names no account.
    """
    parts = (part.partition("=") for part in text.strip().split(";") if part)
    said = {name.strip().lower(): value.strip() for name, _, value in parts}
    keep_secret(*filter(None, map(said.get, ("accountkey", "sharedaccesssignature"))))
    endpoint = said.get("blobendpoint", "").rstrip("/")
    # One with a SAS token says it in the address alone.
    host = re.match(r"https://([^./:]+)\.blob\.", endpoint)
    account = said.get("accountname") or (host[1] if host else "")
    if text and not account:
        raise ConfigurationError(
            "AZURE_STORAGE_CONNECTION_STRING names no account: copy it again from the access keys "
            "of the storage account"
        )
    suffix = said.get("endpointsuffix", "")
    if suffix and not endpoint:
        endpoint = f"{said.get('defaultendpointsprotocol', 'https')}://{account}.blob.{suffix}"
    found = {
        "account_name": account,
        "account_key": said.get("accountkey", ""),
        "sas_key": said.get("sharedaccesssignature", ""),
        "endpoint": endpoint,
    }
    return {name: value for name, value in found.items() if value}


def _aws_credentials() -> Any:
    """What the command line of AWS would take, such as a profile; None without boto3.

    Without it, variables of the environment, a role of the machine or of the pod are found.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    try:
        return Boto3CredentialProvider()
    except ValueError:  # It has found none.
        return None


@contextlib.contextmanager
def answers(place: object, *, may_miss: bool = False) -> Iterator[None]:
    """Make errors of a store ours, without what its requests carry.

    Args:
        place: What was asked for; its text is its address.
        may_miss: Whether it may be missing; else its bucket is.

    Raises:
        FileNotFoundError: It is missing, where it may be.
        LakeError: Instead of any of the library's errors.
    """
    library()
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        if may_miss:
            raise
        raise _no_bucket(str(place)) from error
    except BaseError as error:
        raise _failure(str(place), error) from error


def _failure(place: str, error: Exception) -> LakeError:
    kind, cloud = type(error).__name__, SCHEMES[place.partition(":")[0]]
    text = str(error).partition(_STRUCTURE)[0]
    # In Azure's store, parts are gone once another writer's have become the object.
    if kind in {"PreconditionError", "AlreadyExistsError"} or "InvalidBlockList" in text:
        return overtaken(place)
    if re.search("NoSuchBucket|ContainerNotFound", text):
        return _no_bucket(place)
    # Of listings the library tells all errors alike; "token request" is one for credentials.
    refused = re.search(r"status code: 40[13]\b|token request", text)
    if kind in {"UnauthenticatedError", "PermissionDeniedError"} or refused:
        return LakeError(
            f"{cloud} refuses {place} ({_said(error)}): see whether the credentials in the "
            "environment are of this bucket, have not expired, and may read, list, write and "
            "delete there"
        )
    return LakeError(f"{cloud} does not answer for {place} ({_said(error)}); try again later")


def _no_bucket(place: str) -> LakeError:
    return LakeError(f"there is no bucket for {place}: make it, or correct ODS_DATA_DIR")


def overtaken(place: object) -> LakeError:
    """The error of a writer that another one was faster than."""
    return LakeError(
        f"another run has published {place} meanwhile; that version stays, and nothing of this one "
        "was kept; run again"
    )


def _said(error: Exception) -> str:
    """The gist of the library's words, which come with its inner structure below them."""
    text = str(error).partition(_STRUCTURE)[0].replace("\n", " ")
    code = re.search(r"<Code>(.*?)</Code>.*?(?:<Message>(.*?)(?: RequestId:.*)?</Message>|$)", text)
    if code:
        return excerpt(": ".join(filter(None, code.groups())), _SAID)
    return excerpt(redacted(text.rpartition("Error performing")[2].strip() or text), _SAID)
