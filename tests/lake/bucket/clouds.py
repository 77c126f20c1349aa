"""The stores that a lake in a bucket is tried in: what the tests have to know of each."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import boto3

from tests.servers.azurite import server as azurite
from tests.servers.seaweed import server as seaweed

BUCKET = "lake"


@dataclass(frozen=True)
class Cloud:
    """A running store with an empty bucket.

    Attributes:
        scheme: Of its addresses.
        port: Its port.
        settings: The environment of a user, by the address at which the store is reached.
        wrong: The variable of the user's secret, and another secret.
        uploads: Keys below a prefix for which parts were sent that are of no object.
        keeps_parts: Whether those stay until they are dropped.
    """

    scheme: str
    port: int
    settings: Callable[[str], dict[str, str]]
    wrong: tuple[str, str]
    uploads: Callable[[str], list[str]]
    keeps_parts: bool


def of_s3(server: seaweed.Seaweed) -> Cloud:
    """A bucket of SeaweedFS; all that is asked of it later needs a user's environment."""

    def uploads(prefix: str) -> list[str]:
        found = boto3.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [upload["Key"] for upload in found if upload["Key"].startswith(prefix)]

    def settings(url: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": seaweed.KEY,
            "AWS_SECRET_ACCESS_KEY": seaweed.SECRET,
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
        }

    server.make_bucket(BUCKET)
    wrong = ("AWS_SECRET_ACCESS_KEY", "a-wrong-secret-of-mine")
    return Cloud("s3", server.s3, settings, wrong, uploads, keeps_parts=True)


def of_azure(server: azurite.Azurite) -> Cloud:
    """A container of Azurite."""

    def uploads(prefix: str) -> list[str]:
        return server.keys_of_loose_blocks(BUCKET, prefix)

    def settings(url: str) -> dict[str, str]:
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": azurite.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": azurite.KEY,
            "AZURE_STORAGE_ENDPOINT": f"{url}/{azurite.ACCOUNT}",
        }

    server.make_container(BUCKET)
    wrong = ("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"a wrong secret of mine").decode())
    return Cloud("az", server.port, settings, wrong, uploads, keeps_parts=False)
