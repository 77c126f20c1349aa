"""Parquet footers of the lake's files: what a file says of itself, without its rows.

Of a file in a bucket, its end alone is fetched. The meaning of the entries does not belong here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ods_pipeline.lake.bucket import LakePath, ObjectPath

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Most footers are smaller; a larger one costs a second request.
_END = 64 << 10
_TAIL = 8  # length of the footer in four bytes, then the magic


def footer(path: LakePath) -> pq.FileMetaData:
    """The footer of a file.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        pa.ArrowException: It is no Parquet file, or damaged.
        LakeError: It is in a bucket that does not answer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(path, ObjectPath):
        return pq.read_metadata(path)
    end = path.end(_END)
    if len(end) >= _TAIL:
        (length,) = struct.unpack("<I", end[-_TAIL:-4])
        if length + _TAIL > len(end) == _END:
            end = path.end(length + _TAIL)
    return pq.read_metadata(pa.BufferReader(end))


def columns_of(path: LakePath) -> pa.Schema:
    """The columns of a file with their metadata.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        pa.ArrowException: It is no Parquet file, or damaged.
        LakeError: It is in a bucket that does not answer.
    """
    return footer(path).schema.to_arrow_schema()
