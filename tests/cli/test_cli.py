"""The command line as it is typed: what it prints where, and the status that it ends with."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.cli.report import Summary, show_sync
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.sync.outcome import Outcome
from tests import person
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, rows
from tests.person import COMMAND

Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", FIELDS, rows(20), {"title": "Towns"})
        emulator.publish("roads", FIELDS, rows(5), {"title": "Roads"})
        yield emulator


@pytest.fixture
def typed(portal: Emulator, tmp_path: Path) -> Typed:
    """Types a command in the folder of a user who has set ODS_PORTAL."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return person.typed(tmp_path, *words, **{"ODS_PORTAL": portal.url, **settings})

    return run


def test_a_first_sync_lands_everything_and_a_second_asks_once(
    portal: Emulator, tmp_path: Path
) -> None:
    first, second = (person.started(tmp_path, "sync", ODS_PORTAL=portal.url) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "2 landed; 8 requests" in first.stdout
    assert "2 unchanged; 1 request," in second.stdout
    assert first.stderr == second.stderr == ""


def test_json_is_all_that_stdout_holds(typed: Typed) -> None:
    summary = json.loads(typed("sync", "--json").stdout)
    assert summary["exit_status"] == 0
    assert {item["dataset_id"]: item["rows"] for item in summary["datasets"]} == {
        "roads": 5,
        "towns": 20,
    }


def test_plan_says_which_signal_moved_and_how(typed: Typed, portal: Emulator) -> None:
    typed("sync")
    portal.republish("towns")
    portal.relabel("roads", "n", label="Number")
    plan = typed("plan", "--json")
    reasons = {item["dataset_id"]: item for item in json.loads(plan.stdout)}
    assert re.fullmatch(r"data_processed \S+ → \S+", reasons["towns"]["reason"])
    assert reasons["roads"]["verdict"] == "metadata"
    assert not reasons["roads"]["fetches"]


def test_a_false_change_is_fetched_once_and_loads_nothing(typed: Typed, portal: Emulator) -> None:
    typed("sync")
    portal.republish("towns", shuffle=True)
    outcomes = json.loads(typed("sync", "towns", "--json").stdout)["datasets"]
    assert [(item["action"], item["loaded"]) for item in outcomes] == [
        ("same content", "unchanged")
    ]
    assert "1 unchanged; 1 request," in typed("sync", "towns").stdout


def test_a_publishers_new_field_is_told(typed: Typed, portal: Emulator) -> None:
    typed("sync")
    fields = [*FIELDS, {"name": "mayor", "type": "text"}]
    portal.publish("towns", fields, [{**row, "mayor": "A"} for row in rows(20)], {})
    portal.retype("roads", "n", "text")
    done = typed("sync")
    assert "towns: columns: added mayor" in done.stdout
    assert "roads: columns: retyped n from BIGINT to VARCHAR" in done.stdout


def test_catalog_filters_with_odsql(typed: Typed) -> None:
    found = json.loads(typed("catalog", "--where", 'title = "Towns"', "--json").stdout)
    assert [item["dataset_id"] for item in found] == ["towns"]
    refused = typed("catalog", "--where", "title = = 3")
    assert refused.returncode == 1
    assert "the portal refuses the query" in refused.stderr


def test_verify_finds_a_flipped_byte_and_says_what_to_do(typed: Typed, tmp_path: Path) -> None:
    typed("sync")
    assert typed("verify").stdout == "3 partitions, 27 rows, 0 damaged\n"
    (partition,) = tmp_path.glob("data/lake/*/records/towns.parquet")
    damaged = bytearray(partition.read_bytes())
    damaged[100] ^= 1
    partition.write_bytes(damaged)
    done = typed("verify", "towns")
    assert done.returncode == 1
    assert "towns: its bytes are not those that were published; delete" in done.stdout


def test_doctor_says_where_a_portal_has_no_wfs(typed: Typed, portal: Emulator) -> None:
    portal.fail("/api/wfs", Fault.status(404), times=None)
    done = typed("doctor")
    assert done.returncode == 0
    assert "ok   wfs: the portal answers in no version of WFS" in done.stdout


def test_features_land_beside_the_records_and_are_in_the_summary(
    typed: Typed, portal: Emulator
) -> None:
    portal.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
    planned = typed("plan", "--features").stdout
    assert re.search(r"^towns \(features\) +new ", planned, re.M)
    told = json.loads(typed("sync", "--features", "--json").stdout)["datasets"]
    assert [(item["dataset_id"], item["kind"], item["action"]) for item in told] == [
        ("roads", "records", "landed"),
        ("towns", "records", "landed"),
        ("towns", "features", "landed"),
    ]
    assert typed("sync", "--features", "--wfs-version", "2.0.0", "--full").returncode == 0


def test_doctor_has_a_line_for_everything(typed: Typed) -> None:
    good = typed("doctor")
    assert good.returncode == 0
    subjects = re.findall(r"^ok   (\w+):", good.stdout, re.M)
    assert subjects == ["portal", "wfs", "quota", "credentials", "lake", "warehouse", "state"]
    assert "speaks WFS 1.1.0 and 2.0.0" in good.stdout
    bad = typed("doctor", ODS_PORTAL="http://127.0.0.1:1")
    assert bad.returncode == 1
    assert bad.stdout.startswith("BAD  portal: http://127.0.0.1:1 cannot be reached")


@pytest.mark.parametrize(
    ("words", "environment", "status", "sentence"),
    [
        (["plan"], {"ODS_PORTAL": "no-such-host.invalid"}, 2, "there is no host"),
        (["plan"], {"ODS_PORTAL": "http://127.0.0.1:1"}, 2, "cannot be reached"),
        (["plan"], {"ODS_PORTAL": "ftp://portal"}, 2, "is no portal address"),
        (["sync", "--wfs-version", "2.0.0"], {}, 2, "add --features"),
        (["sync", "--axis-order", "latlon"], {}, 2, "add --features"),
        (["sync"], {"ODS_WAREHOUSE": "postgresql://me:secret@127.0.0.1:1/x"}, 1, "be opened"),
        (["sync"], {"ODS_DATA_DIR": "ftp://bucket/x"}, 2, "is no place for data"),
        (["sync"], {"ODS_DATA_DIR": "~nosuchuser/x"}, 2, "~nosuchuser/x is in the home of a user"),
        (["sync"], {"ODS_DATA_DIR": "/dev/null/x"}, 2, "set ODS_DATA_DIR"),
        (["sync", "--full", "--verify"], {}, 2, "choose one"),
        (["sync", "--format", "xlsx"], {}, 2, "'xlsx' is not one of"),
        (["verify", "towns"], {}, 2, "towns is not landed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_work_is_one_sentence_and_a_status(
    typed: Typed, words: list[str], environment: dict[str, str], status: int, sentence: str
) -> None:
    done = typed(*words, **environment)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        (Fault.html(), 2, "a web page came instead of data"),
        (Fault.status(404), 2, "no Explore API v2.1"),
        (Fault.status(401), 2, "refuses access"),
        (Fault.status(503), 1, "the portal failed with status 503"),
        (Fault.empty_body(), 2, "not JSON"),
    ],
    ids=["login page", "not found", "private", "failing", "empty"],
)
def test_a_portal_that_answers_otherwise_is_named_for_what_it_does(
    typed: Typed, portal: Emulator, fault: Fault, status: int, sentence: str
) -> None:
    portal.fail("/catalog/", fault, times=None)
    done = typed("sync")
    assert done.returncode == status
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def test_a_dataset_asked_for_by_a_wrong_name_fails_beside_the_right_one(typed: Typed) -> None:
    done = typed("sync", "town", "roads")
    assert done.returncode == 1
    assert "did you mean towns?" in done.stdout
    assert "1 failed, 1 landed" in done.stdout or "1 landed, 1 failed" in done.stdout


def test_restricted_and_empty_datasets_are_skipped_among_all_and_fail_by_name(
    typed: Typed, portal: Emulator
) -> None:
    portal.restrict("towns")
    portal.publish("papers", [], [], {}, has_records=False)
    among_all = typed("sync")
    assert among_all.returncode == 0
    assert "2 skipped" in among_all.stdout
    by_name = typed("sync", "towns", "papers")
    assert by_name.returncode == 1
    assert "towns is restricted" in by_name.stdout
    assert "papers holds no records" in by_name.stdout


def test_a_header_without_records_never_replaces_what_is_landed(
    typed: Typed, portal: Emulator, tmp_path: Path
) -> None:
    typed("sync")
    (partition,) = tmp_path.glob("data/lake/*/records/towns.parquet")
    before = partition.read_bytes()
    portal.republish("towns")
    portal.fail("towns/exports/csv", Fault.header_only(), times=None)
    done = typed("sync", "towns", "--format", "csv")
    assert done.returncode == 1
    assert "0 rows came where the portal counts 20" in done.stdout
    assert partition.read_bytes() == before


def test_a_spent_quota_puts_off_and_says_until_when(typed: Typed, portal: Emulator) -> None:
    portal.fail("/exports/parquet", Fault.quota(reset="2099-01-01T00:00:00Z"), times=None)
    done = typed("sync")
    assert done.returncode == 3
    assert "2 deferred" in done.stdout
    assert "2099-01-01" in done.stdout


def test_a_warehouse_in_use_is_said_before_anything_is_fetched(
    typed: Typed, portal: Emulator, tmp_path: Path
) -> None:
    typed("sync")
    portal.republish("towns")
    portal.requests.clear()
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path / "data" / "warehouse.duckdb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        done = typed("sync", "--wait", "0")
        assert done.returncode == 1
        assert "warehouse.duckdb" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not portal.requests
        waited = typed("sync", "--wait", "0.1")
        assert (waited.returncode, waited.stderr.count("\n")) == (1, 2)
        assert "waiting up to 0.1 s" in waited.stderr
        assert not portal.requests
        holder.communicate(b"\n")


def test_a_comparison_neither_needs_nor_makes_a_warehouse(typed: Typed, tmp_path: Path) -> None:
    typed("sync")
    (tmp_path / "data" / "warehouse.duckdb").unlink()
    done = typed("sync", "--verify", "--format", "csv")
    assert done.returncode == 0
    assert "2 unchanged; 7 requests" in done.stdout
    assert not (tmp_path / "data" / "warehouse.duckdb").exists()


def test_a_disk_that_takes_no_more_leaves_what_was_landed(
    typed: Typed, portal: Emulator, tmp_path: Path
) -> None:
    typed("sync")
    portal.make_big("big", 30_000)
    limit = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000,) * 2); "
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", limit, COMMAND, "sync", "big"],
        cwd=tmp_path,
        env={**os.environ, "ODS_PORTAL": portal.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "limit on the size of files" in done.stdout + done.stderr
    assert not list(tmp_path.glob("data/lake/*/.incoming/*"))
    assert typed("verify").returncode == 0


def on_a_terminal(portal: str, folder: Path) -> tuple[str, str]:
    """What a sync shows on stderr, where that is a terminal, and what it prints."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "sync"],
        cwd=folder,
        env={**os.environ, "ODS_PORTAL": portal, "TERM": "xterm", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as running:
        os.close(terminal)
        assert running.stdout
        # A terminal hands its text over in pieces, and ends with an error.
        pieces: list[bytes] = []
        with contextlib.suppress(OSError):
            while piece := os.read(controller, 100_000):
                pieces.append(piece)
        summary = running.stdout.read().decode()
    os.close(controller)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(pieces).decode()), summary


def test_a_terminal_sees_progress_on_stderr(portal: Emulator, tmp_path: Path) -> None:
    portal.fail("towns/exports", Fault.slow(2_000))
    seen, summary = on_a_terminal(portal.url, tmp_path)
    assert "fetching" in seen
    assert "datasets" in seen
    assert "Ctrl-C keeps what is landed" not in seen
    assert "2 landed" in summary


def test_a_terminal_is_told_what_a_large_sync_is_about_to_fetch(tmp_path: Path) -> None:
    with Emulator(sample=False) as portal:
        for number in range(41):
            portal.publish(f"d{number}", fields=FIELDS, records=rows(2))
        seen, summary = on_a_terminal(portal.url, tmp_path)
        assert "fetching 41 datasets with 82 records in about" in seen
        assert "Ctrl-C keeps what is landed by then" in seen
        assert "41 landed" in summary
        seen, _ = on_a_terminal(portal.url, tmp_path)
        assert "Ctrl-C" not in seen


def test_a_proxy_does_not_stand_between_a_machine_and_itself(typed: Typed) -> None:
    proxy = "http://127.0.0.1:9"
    assert typed("plan", http_proxy=proxy, HTTP_PROXY=proxy, no_proxy="").returncode == 0


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (">&-", "ods-pipeline: the standard output is closed; give it /dev/null\n"),
        (">/dev/full", "ods-pipeline: the output cannot be written (No space left on device)\n"),
        ("| :", ""),
    ],
    ids=["closed", "full", "left"],
)
@pytest.mark.parametrize(
    "words", ["--help", "--version", "plan --help", "plan", "catalog --json", "sync", "whoami"]
)
def test_an_output_that_takes_nothing_is_one_sentence(
    portal: Emulator, tmp_path: Path, words: str, output: str, sentence: str
) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {words} {output}; exit ${{PIPESTATUS[0]}}"],
        env=person.environment(ODS_PORTAL=portal.url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (1, sentence, "")


def test_help_names_every_exit_status(typed: Typed) -> None:
    told = " ".join(typed("--help").stdout.split())
    assert "130 interrupted (Ctrl-C), 143 terminated (SIGTERM)." in told


def test_a_summary_of_many_datasets_compares_none_with_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compared(self: Outcome, other: object) -> bool:
        raise AssertionError("ten thousand of them would be compared fifty million times")

    monkeypatch.setattr(Outcome, "__eq__", compared)
    actions = ("unchanged", "landed", "failed") * 20
    outcomes = [Outcome(f"d{n}", "t", action, action, "why") for n, action in enumerate(actions)]
    show_sync(Summary("http://portal.test", outcomes, 1, 1.0, None), "duckdb:///x")
    assert "(20 not shown)" in capsys.readouterr().out


def test_a_mistyped_address_leaves_no_folder_behind(typed: Typed, tmp_path: Path) -> None:
    assert typed("--portal", "127.0.0.1:1", "sync").returncode == 2
    assert not list(tmp_path.glob("data/lake/*"))
