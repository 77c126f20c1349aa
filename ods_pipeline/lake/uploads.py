"""Uploads that were never finished: the parts of a large file whose sender was killed.

They are no objects, so nobody sees them, but they are stored and paid for. Azure drops them after a
week; of S3 this has to be asked; Google's store does it by a rule of its bucket alone. Uploading
does not belong here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ods_pipeline.lake.bucket import ObjectPath

# A living sender needs less: its parts are sent one after the other, without a pause.
_DEAD = timedelta(days=1)


def drop_abandoned(folder: ObjectPath, older_than: timedelta = _DEAD) -> int:
    """Drop the abandoned uploads below a folder of S3; does nothing elsewhere.

    It is housekeeping: where it is not allowed, or the store does not know such a request, the
    parts stay.

    Returns:
        How many were dropped.
    """
    if not folder.root.startswith("s3://"):
        return 0
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:  # Of somebody who installed obstore by hand.
        return 0

    bucket, _, prefix = str(folder).removeprefix("s3://").partition("/")
    dropped = 0
    try:
        client: Any = boto3.client("s3")
        pages = client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for upload in page.get("Uploads", []):
                if datetime.now(UTC) - upload["Initiated"] >= older_than:
                    client.abort_multipart_upload(
                        Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    dropped += 1
    except (BotoCoreError, ClientError):
        pass
    return dropped
