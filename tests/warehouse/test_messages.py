"""What is left of a load that failed: the old table, whole, and one sentence."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land, sealed

pytestmark = pytest.mark.slow

Ask = Callable[..., list[tuple[object, ...]]]
TABLE = f'"{SCHEMA}".velos'
LOADER = """
import resource, signal, sys
from pathlib import Path
from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import open_warehouse
database, partition, size = sys.argv[1:]
if int(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
try:
    with open_warehouse("duckdb:///" + database) as warehouse:
        print("loading", flush=True)
        warehouse.load(Path(partition), verdict="data")
except WarehouseError as error:
    print(error)
    sys.exit(1)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
status = Path("/proc/self/status")
if status.exists():
    print("kilobytes", status.read_text().partition("VmHWM:")[2].split()[0])
"""


def _loader(database: Path, partition: Path, size: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOADER, str(database), str(partition), str(size)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def loaded(warehouse: Warehouse, tmp_path: Path) -> Path:
    """A partition that is loaded, with the one value `old`."""
    partition = land(tmp_path / "lake" / "velos.parquet", {"nom": Column(["old"])})
    warehouse.load(partition, verdict="new")
    return partition


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partition that takes a second or two to load."""
    rows, group = 2_000_000, 100_000
    path = tmp_path_factory.mktemp("large") / "velos.parquet"
    receipt = {"portal": PORTAL, "kind": "records", "dataset_id": "velos", "content_hash": "large"}
    names = ["id", "nom", *(f"text_{n}" for n in range(4))]
    schema = pa.schema(
        [("id", pa.int64()), *((name, pa.string()) for name in names[1:])],
        metadata={**receipt, "row_count": str(rows)},
    )
    with sealed(path, schema) as writer:
        for start in range(0, rows, group):
            ids = pa.array(range(start, start + group), pa.int64())
            writer.write_table(pa.table([ids] + [ids.cast(pa.string())] * 5, schema=schema))
    return path


def _corrupt(partition: Path) -> None:
    content = bytearray(partition.read_bytes())
    # The footer stays readable, the pages do not: only reading the rows can tell.
    content[4:200] = b"\xff" * 196
    partition.write_bytes(content)


def test_a_partition_with_damaged_pages_leaves_the_old_table(
    warehouse: Warehouse, loaded: Path, ask: Ask
) -> None:
    _corrupt(land(loaded, {"nom": Column([f"new {n}" for n in range(1000)])}))
    with pytest.raises(WarehouseError, match="velos") as caught:
        warehouse.load(loaded, verdict="data")
    assert "\n" not in str(caught.value)
    assert ask(f"SELECT * FROM {TABLE}") == [("old",)]
    assert len(ask(f'SELECT * FROM "{SCHEMA}"._loads')) == 1


def test_the_next_load_after_a_failed_one_goes_through(
    warehouse: Warehouse, loaded: Path, ask: Ask
) -> None:
    _corrupt(land(loaded, {"nom": Column([f"new {n}" for n in range(1000)])}))
    with pytest.raises(WarehouseError):
        warehouse.load(loaded, verdict="data")
    land(loaded, {"nom": Column(["new"])})
    assert warehouse.load(loaded, verdict="data").action == "loaded"
    assert ask(f"SELECT * FROM {TABLE}") == [("new",)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "damaged"), (b"PAR1 but no more PAR1", "damaged"), (None, "does not exist")],
)
def test_what_is_no_parquet_file_is_refused(
    warehouse: Warehouse, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    partition = tmp_path / "velos.parquet"
    if content is not None:
        partition.write_bytes(content)
    with pytest.raises(WarehouseError, match=reason):
        warehouse.load(partition, verdict="new")


def test_a_file_that_is_not_what_its_receipt_says_is_refused(
    warehouse: Warehouse, loaded: Path, ask: Ask
) -> None:
    land(loaded, {"nom": Column(["a", "b"])}, row_count="3")
    with pytest.raises(WarehouseError, match="holds 2 rows and its receipt says 3"):
        warehouse.load(loaded, verdict="data")
    pq.write_table(pa.table({"nom": ["a"]}), loaded)
    with pytest.raises(WarehouseError, match="no receipt"):
        warehouse.load(loaded, verdict="data")
    assert ask(f"SELECT * FROM {TABLE}") == [("old",)]


def test_a_view_in_the_tables_place_is_not_overwritten(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    ask(f'CREATE SCHEMA "{SCHEMA}"; CREATE VIEW {TABLE} AS SELECT 1')
    with pytest.raises(WarehouseError, match="was not loaded from a portal: move it away"):
        warehouse.load(land(tmp_path / "x.parquet", {"a": Column(["1"])}), verdict="new")


def test_a_table_that_somebody_else_made_is_not_replaced(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    ask(f'CREATE SCHEMA "{SCHEMA}"; CREATE TABLE {TABLE} AS SELECT 42 AS my_model')
    with pytest.raises(WarehouseError, match="give the dataset another name with `table`"):
        warehouse.load(land(tmp_path / "x.parquet", {"a": Column(["1"])}), verdict="new")
    assert ask(f"SELECT * FROM {TABLE}") == [(42,)]


@pytest.mark.parametrize("delay", [0.02, 0.2])
def test_a_loader_that_is_killed_leaves_the_old_table_whole(
    database: Path, tmp_path: Path, large: Path, ask: Ask, delay: float
) -> None:
    old = land(tmp_path / "old.parquet", {"nom": Column(["old"])})
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(old, verdict="new")
    with _loader(database, large) as loader:
        assert loader.stdout is not None
        loader.stdout.readline()
        time.sleep(delay)
        loader.kill()
    assert loader.returncode == -signal.SIGKILL
    assert ask(f"SELECT * FROM {TABLE}") == [("old",)]
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert warehouse.load(large, verdict="data").action == "loaded"
    assert ask(f"SELECT count(*), max(id) FROM {TABLE}") == [(2_000_000, 1_999_999)]
    assert [path.name for path in tmp_path.glob(f"{database.name}*")] == [database.name]


def test_ctrl_c_in_the_middle_of_a_load_is_ctrl_c_and_leaves_the_old_table(
    database: Path, tmp_path: Path, large: Path, ask: Ask
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(land(tmp_path / "old.parquet", {"nom": Column(["old"])}), verdict="new")
    with _loader(database, large) as loader:
        assert loader.stdout is not None
        loader.stdout.readline()
        time.sleep(0.2)
        loader.send_signal(signal.SIGINT)
        output, errors = loader.communicate()
    assert (loader.returncode, output, errors) == (130, "interrupted\n", "")
    assert ask(f"SELECT * FROM {TABLE}") == [("old",)]


def test_a_file_that_cannot_grow_is_one_sentence_and_the_old_table(
    database: Path, tmp_path: Path, large: Path, ask: Ask
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(land(tmp_path / "old.parquet", {"nom": Column(["old"])}), verdict="new")
    with _loader(database, large, size=8 << 20) as loader:
        output, errors = loader.communicate()
    assert (loader.returncode, errors) == (1, "")
    assert "cannot grow" in output
    assert ask(f"SELECT * FROM {TABLE}") == [("old",)]


def test_a_load_takes_little_memory_however_many_rows(
    database: Path, tmp_path: Path, large: Path, ask: Ask
) -> None:
    with _loader(database, large) as loader:
        output, errors = loader.communicate()
    assert (loader.returncode, errors) == (0, "")
    # Not ru_maxrss, which a process inherits from the one that started it.
    if "kilobytes" in output:
        # 280,000 as a rule, and up to 310,000 on a busy machine.
        assert int(output.split()[-1]) < 400_000
    in_order = ask(f"SELECT count(*) FROM {TABLE} WHERE id = rowid")
    assert in_order == [(2_000_000,)]


def test_a_table_too_wide_for_little_memory_gets_more(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    texts = [f"{n:040d}" for n in range(30_000)]
    columns = {f"c{place}": Column(texts) for place in range(120)}
    load = warehouse.load(land(tmp_path / "wide.parquet", columns), verdict="new")
    assert load.rows == 30_000
    assert ask(f"SELECT count(DISTINCT c119) FROM {TABLE}") == [(30_000,)]
