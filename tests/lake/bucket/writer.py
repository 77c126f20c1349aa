"""A process that publishes one partition in a bucket, and stops where it is told to.

`python -m tests.lake.bucket.writer ADDRESS DATASET ROWS [BYTES]`: it says `open` when its writer
is, and publishes when a line comes.
"""

from __future__ import annotations

import sys

import pyarrow as pa

from ods_pipeline.errors import LakeError
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter
from tests.lake.bucket.large import batches


def main() -> None:
    address, name, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    lake = Lake.of(data_folder(address), "portal.test")
    schema = pa.schema({"n": pa.int64(), "noise": pa.binary()})
    with PartitionWriter(lake, lake.partition("records", name), schema) as writer:
        for batch in batches(rows, int(sys.argv[4]) if len(sys.argv) > 4 else 0):
            writer.write(batch)
        print("open", flush=True)
        sys.stdin.readline()
        try:
            writer.publish(Receipt("portal.test", "records", name))
        except LakeError as error:
            print(error, flush=True)
        else:
            print("published", flush=True)


if __name__ == "__main__":
    main()
