"""Replies whose status is 200 and whose bodies are not what was asked for, as far as bytes go."""

from __future__ import annotations

import contextlib
import http.client
import io
import time
import zlib
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault
from tests.emulator.asking import EVERY_TYPE, FULL, ask, count, get, metas

PLAIN = {"Accept-Encoding": "identity"}
CSV, PARQUET = "exports/csv", "exports/parquet"
ROWS = [{**FULL, "code": f"é{number}", "amount": number} for number in range(6)]


@pytest.fixture(autouse=True)
def several_rows(portal: Emulator) -> None:
    portal.publish("every-type", records=ROWS)


def raw(portal: Emulator, end: str, encoding: str = "identity") -> tuple[dict[str, str], bytes]:
    """Headers and body as they cross the wire, unpacked by nobody."""
    where = urlsplit(portal.url)
    path = f"/api/explore/v2.1/catalog/datasets/every-type/{end}"
    asked = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    with contextlib.closing(asked) as connection:
        connection.request("GET", path, headers={"Accept-Encoding": encoding})
        with connection.getresponse() as reply:
            return {name.lower(): value for name, value in reply.getheaders()}, reply.read()


def table(portal: Emulator) -> Any:
    return pq.ParquetFile(io.BytesIO(ask(portal, "every-type", PARQUET).content)).read()


def amounts(portal: Emulator) -> list[int]:
    return [row["amount"] for row in ask(portal, "every-type", "exports/json").json()]


def publishing(first: int) -> list[dict[str, Any]]:
    records = [{**row, "amount": first + number} for number, row in enumerate(ROWS)]
    return [{"verb": "publish", "dataset_id": "every-type", "records": records}]


@pytest.mark.parametrize("end", [CSV, PARQUET])
@pytest.mark.parametrize("after", [0, 100, -1])
def test_a_body_may_end_too_early_as_if_it_were_whole(
    portal: Emulator, end: str, after: int
) -> None:
    _, whole = raw(portal, end)
    portal.fail(end, Fault.short_body(after), times=None)
    assert raw(portal, end)[1] == whole[:after]
    assert ask(portal, "every-type", end).content == whole[:after]


def test_a_packed_body_may_end_too_early_as_well(portal: Emulator) -> None:
    _, whole = raw(portal, CSV, "gzip")
    portal.fail(CSV, Fault.short_body(-20, packed=True))
    assert raw(portal, CSV, "gzip")[1] == whole[:-20]


def test_the_last_byte_or_the_end_alone_may_be_missing(portal: Emulator) -> None:
    for after in (-1, 10**6):
        portal.fail(CSV, Fault.cut(after))
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            ask(portal, "every-type", CSV)


def test_a_reset_may_come_amid_the_body(portal: Emulator) -> None:
    portal.fail(CSV, Fault.reset(after_bytes=100))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(portal, "every-type", CSV)


def test_silence_may_come_amid_the_body(portal: Emulator) -> None:
    _, whole = raw(portal, CSV)
    portal.fail(CSV, Fault.stall(0.3, after_bytes=100))
    url = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/{CSV}"
    with requests.get(url, headers=PLAIN, stream=True, timeout=60) as reply:
        pieces = reply.iter_content(100)
        first, begun = next(pieces), time.monotonic()
        rest = b"".join(pieces)
    assert first + rest == whole
    assert time.monotonic() - begun > 0.2


def test_other_texts_may_come_under_the_type_of_the_data(portal: Emulator) -> None:
    told = raw(portal, CSV)[0]["content-type"]
    for fault, inside in (
        (Fault.html(as_data=True), b"Please log in"),
        (Fault.error_instead(), b'"error_code"'),
        (Fault.text_instead("503 busy\n"), b"503 busy\n"),
    ):
        portal.fail(CSV, fault)
        headers, body = raw(portal, CSV)
        assert headers["content-type"] == told
        assert inside in body
        assert b"amount" not in body


def test_a_text_may_follow_the_data(portal: Emulator) -> None:
    _, whole = raw(portal, CSV)
    portal.fail(CSV, Fault.appended_text("too slow"))
    assert raw(portal, CSV)[1] == whole + b"too slow"


@pytest.mark.parametrize("charset", ["latin-1", "utf-16"])
@pytest.mark.parametrize("told", [False, True])
def test_texts_may_come_in_another_charset(portal: Emulator, charset: str, told: bool) -> None:
    text = ask(portal, "every-type", CSV).content.decode("utf-8-sig")
    portal.fail(CSV, Fault.charset(charset, told))
    headers, body = raw(portal, CSV)
    assert body.decode(charset) == text
    assert headers["content-type"] == f"text/csv; charset={charset if told else 'utf-8'}"


def test_texts_within_parquet_may_be_of_another_charset(portal: Emulator) -> None:
    portal.fail(PARQUET, Fault.charset("latin-1"))
    codes = table(portal).column("code").chunk(0).view("binary").to_pylist()
    assert codes[0] == b"\xe90"


@pytest.mark.parametrize("off", [-5, 5])
def test_a_length_may_be_wrong(portal: Emulator, off: int) -> None:
    _, whole = raw(portal, CSV)
    portal.fail(CSV, Fault.content_length(off))
    if off > 0:
        with pytest.raises(http.client.IncompleteRead):
            raw(portal, CSV)
    else:
        assert raw(portal, CSV)[1] == whole[:off]


def test_a_packed_body_may_be_damaged(portal: Emulator) -> None:
    _, whole = raw(portal, CSV)
    expected: list[tuple[str, type[Exception] | None]] = [
        ("checksum", requests.exceptions.ContentDecodingError),
        ("flipped", requests.exceptions.ContentDecodingError),
        ("none", requests.exceptions.ContentDecodingError),
        ("truncated", None),
    ]
    for damage, raised in expected:
        portal.fail(CSV, Fault.bad_gzip(damage))
        if raised:
            with pytest.raises(raised):
                ask(portal, "every-type", CSV)
        else:
            # Readers of HTTP do not look for the end of what is packed.
            assert whole.startswith(ask(portal, "every-type", CSV).content)
    portal.fail(CSV, Fault.bad_gzip("untold"))
    headers, body = raw(portal, CSV)
    assert "content-encoding" not in headers
    assert zlib.decompress(body, 31) == whole


def test_a_count_may_be_wrong(portal: Emulator) -> None:
    portal.fail("records", Fault.miscount(-2))
    assert [count(portal, "every-type"), count(portal, "every-type")] == [4, 6]


def test_a_catalog_may_lack_datasets(portal: Emulator) -> None:
    portal.publish("other", fields=EVERY_TYPE, records=[FULL])
    portal.fail("catalog/exports/json", Fault.fewer_datasets(1))
    portal.fail("catalog/datasets", Fault.fewer_datasets(1, honest=True))
    (entry,) = get(portal, "/catalog/exports/json").json()
    page = get(portal, "/catalog/datasets").json()
    assert (entry["dataset_id"], len(page["results"]), page["total_count"]) == ("every-type", 1, 1)
    portal.fail("catalog/datasets", Fault.fewer_datasets(1))
    page = get(portal, "/catalog/datasets").json()
    assert (len(page["results"]), page["total_count"]) == (1, 2)


def test_a_quota_may_be_spent_without_a_date(portal: Emulator) -> None:
    portal.fail("records", Fault.quota(reset=""))
    assert "reset_time" not in ask(portal, "every-type", "records").json()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("duplicate", ["code", "share", "amount", "amount"]),
        ("missing", ["code", "share"]),
        ("extra", ["code", "share", "amount", "surplus"]),
        ("renamed", ["code", "share", "amount_2"]),
        ("wrong", ["code", "share", "amount"]),
    ],
)
def test_columns_may_be_others(portal: Emulator, change: str, names: list[str]) -> None:
    fields = [{"name": "code", "type": "text"}, {"name": "share", "type": "double"}]
    portal.publish("every-type", [*fields, {"name": "amount", "type": "int"}], ROWS)
    portal.fail("exports", Fault.column(change, "amount"), times=2)
    lines = ask(portal, "every-type", CSV).content.decode("utf-8-sig").splitlines()
    assert lines[0].split(";") == names
    assert table(portal).schema.names == names
    assert ("n/a" in lines[1]) == (change == "wrong")


def test_a_column_may_be_of_another_type(portal: Emulator) -> None:
    portal.publish("every-type", records=[{**FULL, "code": "01001"}])
    portal.fail(PARQUET, Fault.column("retyped", "code", "int"))
    assert table(portal).column("code").to_pylist() == [1001]
    portal.fail(PARQUET, Fault.column("retyped", "amount", "double"))
    assert table(portal).column("amount").to_pylist() == [9007199254740992.0]


def test_what_there_is_no_name_for_is_refused() -> None:
    for make in (Fault.column, Fault.empty_row_groups, Fault.bad_gzip):
        with pytest.raises(ValueError, match=r"missing, extra|last, between|truncated, checksum"):
            make("nonsense")


@pytest.mark.parametrize(
    ("where", "groups"),
    [("last", [0, 6, 0]), ("between", [0, 2, 0, 2, 0, 2, 0]), ("all", [0, 0])],
)
def test_row_groups_may_be_empty(portal: Emulator, where: str, groups: list[int]) -> None:
    portal.fail(PARQUET, Fault.empty_row_groups(where))
    file = pq.ParquetFile(io.BytesIO(ask(portal, "every-type", PARQUET).content))
    rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert rows == groups


def test_a_row_may_come_twice_beside_or_instead_of_another(portal: Emulator) -> None:
    portal.fail("exports", Fault.doubled())
    portal.fail("exports", Fault.doubled(instead=True))
    assert amounts(portal) == [0, 1, 2, 3, 4, 5, 0]
    assert amounts(portal) == [0, 1, 2, 3, 4, 0]
    assert amounts(portal) == [0, 1, 2, 3, 4, 5]


def test_a_publisher_may_work_while_the_body_is_sent(portal: Emulator) -> None:
    before = metas(portal, "every-type")["data_processed"]
    portal.fail("exports", Fault.meanwhile(publishing(10), after_bytes=100))
    assert amounts(portal) == [0, 1, 2, 3, 4, 5]
    assert metas(portal, "every-type")["data_processed"] > before
    assert amounts(portal) == [10, 11, 12, 13, 14, 15]


def test_a_body_may_hold_rows_of_two_versions(portal: Emulator) -> None:
    portal.fail("exports", Fault.torn(publishing(10), after_rows=2))
    assert amounts(portal) == [0, 1, 12, 13, 14, 15]
    assert amounts(portal) == [10, 11, 12, 13, 14, 15]


def test_every_fault_can_be_made_over_http(portal: Emulator) -> None:
    verbs = requests.get(portal.url + "/_emulator", timeout=60).json()["verbs"]
    assert verbs["fail"]["faults"]["torn"] == ["do", "after_rows"]
    body = {"match": CSV, "fault": "meanwhile", "do": publishing(7), "after_bytes": 3}
    assert requests.post(portal.url + "/_emulator/fail", json=body, timeout=60).ok
    ask(portal, "every-type", CSV)
    assert amounts(portal)[0] == 7
