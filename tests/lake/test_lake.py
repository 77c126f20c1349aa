"""Where partitions lie, and that a reader only ever sees whole ones."""

import contextlib
import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.errors import LakeError, LakeUnwritable
from ods_pipeline.lake.checksum import SealedFile
from ods_pipeline.lake.files import discard_unfinished
from ods_pipeline.lake.lake import Lake, disk_errors, file_name, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

SCHEMA = pa.schema({"a": pa.int64()})
NOBODY = 65534
HOSTILE = [
    "../../x",
    ".x",
    "..",
    ".",
    "",
    "a/b",
    "/etc/passwd",
    "CON",
    "é" * 300,
    "x" * 300,
    "a\0b",
]


def publish(lake: Lake, dataset_id: str, values: Sequence[int]) -> Path:
    target = lake.partition("records", dataset_id)
    with PartitionWriter(lake, target, SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict({"a": list(values)}, schema=SCHEMA))
        writer.publish(Receipt("portal.test", "records", dataset_id))
    return target


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.of(tmp_path, "portal.test")


@pytest.mark.parametrize(
    "dataset_id", [*HOSTILE, "\ud83d", "x" * 299 + "y", "ordinary-id_1@public"]
)
def test_whatever_a_dataset_is_called_its_partition_lies_in_its_folder_and_is_found_again(
    lake: Lake, dataset_id: str
) -> None:
    folder = lake.root / "records"
    path = lake.partition("records", dataset_id)
    assert path.parent == folder
    assert path.resolve().parent == folder.resolve()
    assert path.suffix == ".parquet"
    assert not path.name.startswith(".")
    assert len(os.fsencode(path.name)) < 255


@pytest.mark.parametrize("dataset_id", HOSTILE)
def test_a_dataset_of_a_hostile_name_lands_like_any_other(lake: Lake, dataset_id: str) -> None:
    path = publish(lake, dataset_id, [1, 2])
    assert list(lake.receipts("records")) == [dataset_id]
    assert pq.read_table(path).num_rows == 2
    assert not list((lake.root / ".incoming").iterdir())


@settings(deadline=None)
@given(st.text(), st.text())
def test_two_datasets_never_share_a_file(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


def test_an_ordinary_identifier_is_its_own_file_name() -> None:
    assert file_name("fichier-des-prenoms_2024@public") == "fichier-des-prenoms_2024@public"


def test_leaving_without_publishing_leaves_the_old_partition_and_nothing_else(lake: Lake) -> None:
    path = publish(lake, "d", [1])
    before = path.read_bytes()
    with PartitionWriter(lake, path, SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict({"a": [2]}, schema=SCHEMA))
    with contextlib.suppress(RuntimeError), PartitionWriter(lake, path, SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict({"a": [3]}, schema=SCHEMA))
        raise RuntimeError
    assert path.read_bytes() == before
    assert [p.relative_to(lake.root).as_posix() for p in lake.root.rglob("*.parquet")] == [
        "records/d.parquet"
    ]


def test_a_reader_of_the_old_partition_is_not_disturbed_by_the_new_one(lake: Lake) -> None:
    path = publish(lake, "d", [1, 2, 3])
    with pq.ParquetFile(path) as old:
        publish(lake, "d", [9])
        assert old.read().column("a").to_pylist() == [1, 2, 3]
    assert pq.read_table(path).column("a").to_pylist() == [9]


def test_what_a_crashed_run_left_is_swept_and_what_runs_beside_us_is_not(lake: Lake) -> None:
    with PartitionWriter(lake, lake.partition("records", "d"), SCHEMA):
        (living,) = lake.staging_dir().iterdir()
        left = living.with_name(f"{living.name}.left")
        left.write_bytes(b"PAR1")
        assert [*lake.staging_dir().iterdir()] == [living]
    assert not [*lake.staging_dir().iterdir()]


def test_a_sudden_end_can_discard_what_is_unfinished(lake: Lake) -> None:
    with PartitionWriter(lake, lake.partition("records", "d"), SCHEMA):
        assert list(lake.staging_dir().iterdir())
        discard_unfinished()
        assert not list(lake.staging_dir().iterdir())


def test_a_damaged_or_foreign_file_counts_as_not_landed(lake: Lake) -> None:
    path = publish(lake, "whole", [1])
    folder = path.parent
    (folder / "cut.parquet").write_bytes(path.read_bytes()[:-9])
    (folder / "empty.parquet").touch()
    (folder / "folder.parquet").mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "foreign.parquet")
    pq.write_table(
        pa.table({"a": [1]}).replace_schema_metadata(
            {"portal": "p", "kind": "records", "dataset_id": "odd", "row_count": "many"}
        ),
        folder / "odd.parquet",
    )
    assert list(lake.receipts("records")) == ["whole"]
    assert receipt(folder / "missing.parquet") is None


def run(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_disk_that_takes_no_more_leaves_the_old_partition_and_says_so_in_one_sentence(
    lake: Lake, tmp_path: Path
) -> None:
    path = publish(lake, "d", [1])
    before = path.read_bytes()
    said = run(
        """
        import resource, signal, sys
        from pathlib import Path
        import pyarrow as pa
        from ods_pipeline.errors import LakeError
        from ods_pipeline.lake.lake import Lake
        from ods_pipeline.lake.writer import PartitionWriter
        from ods_pipeline.lake.receipt import Receipt

        lake = Lake.of(Path(sys.argv[1]), "portal.test")
        schema = pa.schema({"a": pa.int64()})
        rows = pa.RecordBatch.from_pydict({"a": [i * 7919 % 65537 for i in range(99_999)]}, schema)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            with PartitionWriter(lake, lake.partition("records", "d"), schema) as writer:
                for _ in range(5):
                    writer.write(rows)
                writer.publish(Receipt("portal.test", "records", "d"))
        except LakeError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "has reached the limit on the size of files: raise it (`ulimit -f`)" in said
    assert str(path.parent) in said
    assert len(said.splitlines()) == 1
    assert path.read_bytes() == before
    assert not list((lake.root / ".incoming").iterdir())


def test_a_full_disk_is_told_from_a_forbidden_one(tmp_path: Path) -> None:
    with (
        pytest.raises(LakeError, match=r"disk of .* is full; free some space") as full,
        disk_errors(tmp_path / "file"),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    assert not isinstance(full.value, LakeUnwritable)
    with (
        pytest.raises(LakeUnwritable, match="correct its permissions"),
        disk_errors(tmp_path / "f"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_data_folder_below_a_file_is_no_place_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(LakeUnwritable, match=r"cannot be used \(Not a directory\); set ODS_DATA"):
        Lake.of(tmp_path / "data", "portal.test").staging_dir()


def test_a_folder_that_belongs_to_somebody_else_is_no_place_to_write_to(tmp_path: Path) -> None:
    said = run(
        """
        import os, sys, tempfile
        from pathlib import Path
        from ods_pipeline.errors import LakeUnwritable
        from ods_pipeline.lake.lake import Lake

        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o555)
            if os.geteuid() == 0:
                os.seteuid(int(sys.argv[1]))
            try:
                Lake.of(Path(folder), "portal.test").staging_dir()
            except LakeUnwritable as error:
                print(error)
            os.seteuid(os.getuid())
        """,
        NOBODY,
    )
    assert "cannot be written; correct its permissions or set ODS_DATA_DIR" in said


def test_row_groups_written_beside_are_all_there_and_in_order(lake: Lake) -> None:
    path = lake.partition("records", "d")
    with PartitionWriter(lake, path, SCHEMA) as writer:
        for start in range(0, 200_000, 10_000):
            values = list(range(start, start + 10_000))
            writer.write(pa.RecordBatch.from_pydict({"a": values}, schema=SCHEMA))
        told = writer.publish(Receipt("portal.test", "records", "d"))
    assert told.rows == writer.rows == 200_000
    assert pq.read_metadata(path).num_row_groups > 2
    assert pq.read_table(path).column("a").to_pylist() == list(range(200_000))


def test_what_the_disk_does_not_take_is_heard_of_while_writing_goes_on(lake: Lake) -> None:
    path = publish(lake, "d", [1])
    before = path.read_bytes()
    batch = pa.RecordBatch.from_pydict({"a": list(range(70_000))}, schema=SCHEMA)
    with PartitionWriter(lake, path, SCHEMA) as writer:
        writer._file.close()
        writer._file = SealedFile(Path("/dev/full"))
        writer.write(batch)
        with pytest.raises(LakeError, match="is full"):
            writer.write(batch)
    assert path.read_bytes() == before


def test_a_dictionary_is_kept_for_values_that_come_back_and_for_no_others(lake: Lake) -> None:
    schema = pa.schema({"id": pa.string(), "kind": pa.string(), "tags": pa.list_(pa.string())})
    rows = [{"id": f"{n:08}", "kind": f"k{n % 7}", "tags": ["a", f"t{n % 3}"]} for n in range(5000)]
    path = lake.partition("records", "d")
    with PartitionWriter(lake, path, schema) as writer:
        writer.write(pa.RecordBatch.from_pylist(rows, schema))
        writer.publish(Receipt("portal.test", "records", "d"))
    group = pq.read_metadata(path).row_group(0)
    assert [group.column(n).has_dictionary_page for n in range(3)] == [False, True, True]
    assert pq.read_table(path).to_pylist() == rows


def test_lists_of_structs_and_columns_of_nothing_are_written_like_anything_else(lake: Lake) -> None:
    item = pa.struct({"name": pa.string(), "size": pa.int64()})
    schema = pa.schema({"items": pa.list_(item), "nothing": pa.null()})
    rows = [
        {"items": [{"name": "a", "size": 1}], "nothing": None},
        {"items": None, "nothing": None},
    ]
    path = lake.partition("records", "d")
    with PartitionWriter(lake, path, schema) as writer:
        writer.write(pa.RecordBatch.from_pylist(rows, schema))
        writer.publish(Receipt("portal.test", "records", "d"))
    assert pq.read_table(path).to_pylist() == rows
