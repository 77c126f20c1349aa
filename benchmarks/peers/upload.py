"""A file into a bucket, as somebody would send it in the fewest lines."""

from __future__ import annotations

from pathlib import Path


def by_obstore(url: str, folder: Path) -> None:
    """The upload of obstore, which takes a path."""
    import obstore
    from obstore.store import from_url

    store = from_url(url, client_options={"allow_http": True})
    obstore.put(store, "plain.parquet", folder / "given")


def by_boto3(url: str, folder: Path) -> None:
    """The upload of AWS's own library."""
    import boto3

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    boto3.client("s3").upload_file(str(folder / "given"), bucket, f"{prefix}/boto3.parquet")
