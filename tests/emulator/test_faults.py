"""Everything that goes wrong on the way does so as it would with a real portal."""

from __future__ import annotations

import gzip
import io
import time

import pyarrow.parquet as pq
import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault
from tests.emulator.asking import FULL, ask, get

CSV = "exports/csv"


@pytest.fixture(autouse=True)
def several_rows(portal: Emulator) -> None:
    portal.publish("every-type", records=[FULL] * 50)


def test_a_fault_hits_the_matching_requests_so_many_times(portal: Emulator) -> None:
    portal.fail(r"exports/csv\?where=", Fault.status(503), times=2)
    statuses = [ask(portal, "every-type", CSV, where="amount > 0").status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert ask(portal, "every-type", CSV).status_code == 200


def test_a_fault_may_stay_for_ever(portal: Emulator) -> None:
    portal.fail("records", Fault.status(500), times=None)
    assert {ask(portal, "every-type", "records").status_code for _ in range(3)} == {500}
    assert portal.faults.used == 3
    portal.faults.clear()
    assert ask(portal, "every-type", "records").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("after", [0, 100])
def test_a_cut_connection_is_noticed(portal: Emulator, encoding: str, after: int) -> None:
    portal.fail(CSV, Fault.cut(after_bytes=after))
    url = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/{CSV}"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, headers={"Accept-Encoding": encoding}, timeout=60)


def test_a_reset_connection_gives_no_reply(portal: Emulator) -> None:
    portal.fail("catalog", Fault.reset())
    with pytest.raises(requests.exceptions.ConnectionError):
        get(portal, "/catalog/datasets")
    assert get(portal, "/catalog/datasets").status_code == 200


def test_a_stalled_reply_comes_late(portal: Emulator) -> None:
    portal.fail("records", Fault.stall(0.4))
    begun = time.monotonic()
    assert ask(portal, "every-type", "records").status_code == 200
    assert time.monotonic() - begun >= 0.4


def test_a_slow_body_trickles(portal: Emulator) -> None:
    whole = len(ask(portal, "every-type", "exports/parquet").content)
    portal.fail("parquet", Fault.slow(bytes_per_second=whole * 2))
    begun = time.monotonic()
    assert len(ask(portal, "every-type", "exports/parquet").content) == whole
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize(("fault", "rows"), [(Fault.header_only(), 0), (Fault.short_rows(3), 47)])
def test_rows_may_be_missing_from_a_clean_export(portal: Emulator, fault: Fault, rows: int) -> None:
    portal.fail("exports", fault, times=3)
    assert ask(portal, "every-type", CSV).text.count("\r\n") == 1 + rows
    parquet = ask(portal, "every-type", "exports/parquet").content
    assert pq.read_table(io.BytesIO(parquet)).num_rows == rows
    assert len(ask(portal, "every-type", "exports/json").json()) == rows


def test_an_error_may_follow_a_good_body(portal: Emulator) -> None:
    whole = ask(portal, "every-type", CSV).content
    portal.fail(CSV, Fault.appended_error())
    spoiled = ask(portal, "every-type", CSV).content
    assert spoiled.startswith(whole)
    assert b'"error_code"' in spoiled[len(whole) :]


def test_a_reply_may_be_a_page_or_nothing_or_elsewhere(portal: Emulator) -> None:
    portal.fail(CSV, Fault.html())
    page = ask(portal, "every-type", CSV)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    portal.fail(CSV, Fault.empty_body())
    assert ask(portal, "every-type", CSV).content == b""
    portal.fail(CSV, Fault.redirect(portal.url + "/api/explore/v2.1/catalog/datasets?limit=0"))
    moved = ask(portal, "every-type", CSV)
    assert moved.history[0].status_code == 302
    assert moved.json()["total_count"] == 1


def test_a_spent_quota_may_last_a_month_and_say_when_to_retry(portal: Emulator) -> None:
    portal.fail("records", Fault.quota(unit="month", retry_after=5))
    reply = ask(portal, "every-type", "records")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
    assert reply.json()["limit_time_unit"] == "month"
    assert "x-ratelimit-limit" not in reply.headers


def test_the_quota_is_counted_truly() -> None:
    with Emulator(quota=2) as portal:
        left = [get(portal, "/catalog/datasets").headers["x-ratelimit-remaining"] for _ in "ab"]
        assert left == ["1", "0"]
        spent = get(portal, "/catalog/datasets")
        assert spent.status_code == 429
        assert (spent.json()["errorcode"], spent.json()["call_limit"]) == (10002, 2)


def test_requests_are_recorded_until_cleared(portal: Emulator) -> None:
    portal.requests.clear()
    ask(portal, "every-type", "records", where="amount > 0", limit=1)
    (seen,) = portal.requests
    assert (seen.method, seen.path) == (
        "GET",
        "/api/explore/v2.1/catalog/datasets/every-type/records",
    )
    assert seen.query == {"where": "amount > 0", "limit": "1"}
    assert seen.headers["user-agent"].startswith("python-requests")


def test_one_connection_serves_many_requests(portal: Emulator) -> None:
    with requests.Session() as session:
        for end in (CSV, "exports/parquet", "records", "nothing"):
            url = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/{end}"
            reply = session.get(url, timeout=60)
            assert reply.raw.version == 11
            assert reply.headers.get("connection", "keep-alive") == "keep-alive"


def test_only_get_is_answered(portal: Emulator) -> None:
    url = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/{CSV}"
    assert requests.head(url, timeout=60).status_code == 405


def test_a_portal_may_be_closed_without_having_served() -> None:
    Emulator(sample=False).close()


def test_a_port_in_use_is_an_error_at_once(portal: Emulator) -> None:
    with pytest.raises(OSError, match="in use"):
        Emulator(sample=False, port=int(portal.url.rpartition(":")[2]))


def test_a_packed_body_is_gzip_on_the_wire(portal: Emulator) -> None:
    url = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/{CSV}"
    with requests.get(url, stream=True, timeout=60) as reply:
        raw = reply.raw.read(decode_content=False)
    assert gzip.decompress(raw).startswith(b"\xef\xbb\xbfcode")
