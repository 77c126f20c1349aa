"""The conversation: what is sent, what is repeated, and how each failure reads."""

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    NotAPortal,
    PortalFailure,
    PortalUnreachable,
    QuotaExhausted,
    RequestRefused,
)
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from tests import retries
from tests.portal.answers import answering

ALWAYS = "."
DATASETS = "/catalog/datasets"


@pytest.fixture
def client(emulator: Emulator) -> Client:
    return Client(emulator.url, attempts=2, read_timeout=5)


def test_every_request_states_language_zone_and_who_asks(emulator: Emulator) -> None:
    emulator.publish("d", fields=[{"name": "a", "type": "int"}], records=[{"a": 1}])
    portal = Portal(emulator.url, lang="fr")
    portal.datasets()
    for format in ("parquet", "csv"):
        portal.records("d", format)  # type: ignore[arg-type]
    with portal.export("d", "jsonl", timezone="Europe/Paris") as chunks:
        assert b"".join(chunks) == b'{"a": 1}\n'
    assert len(emulator.requests) == portal.client.requests_made == 8
    for request in emulator.requests:
        assert request.query["lang"] == "fr"
        assert request.headers["user-agent"].startswith("ods-pipeline/")
    assert {r.query["timezone"] for r in emulator.requests[:-1]} == {"UTC"}
    assert emulator.requests[-1].query["timezone"] == "Europe/Paris"


def test_requests_are_http_1_1_on_one_kept_connection() -> None:
    lines: list[bytes] = []
    body = b'{"total_count": 0, "results": []}'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as received:
                for _ in range(2):
                    lines.append(received.readline())
                    while received.readline().strip():
                        pass
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)

        server = threading.Thread(target=serve)
        server.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", attempts=1)
        assert client.json(DATASETS) == client.json(DATASETS) == json.loads(body)
        server.join(60)
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(b"GET /api/explore/v2.1/catalog/datasets?")
        assert line.endswith(b" HTTP/1.1\r\n")


def test_export_parameters_are_spelled_as_the_api_does(client: Client) -> None:
    url = client.url("/x", {"use_labels": True, "with_bom": False, "limit": 0, "where": None})
    assert "use_labels=true&with_bom=false&limit=0" in url
    assert "where" not in url
    assert "refine=a%3A1&refine=b%3A2" in client.url("/x", {"refine": ["a:1", "b:2"]})
    assert "delimiter=%3B" in client.url("/x", {"delimiter": ";"})
    assert "%2B01%3A00" in client.url("/x", {"where": "d > date'2024-01-01T00:00+01:00'"})


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500),
        Fault.status(502),
        Fault.status(503),
        Fault.status(504),
        Fault.reset(),
        Fault.cut(0),
        Fault.cut(10),
    ],
    ids=lambda fault: f"{fault.kind} {fault.number or ''}",
)
def test_a_failure_that_passes_is_tried_again_after_a_pause(
    emulator: Emulator, fault: Fault
) -> None:
    client = Client(emulator.url, attempts=2, pause=retries.USUAL)
    emulator.fail(ALWAYS, fault, times=1)
    started = time.monotonic()
    assert client.json(DATASETS)["total_count"] == 0
    assert client.requests_made == len(emulator.requests) == 2
    assert time.monotonic() - started > 0.2


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault.status(500), PortalFailure, "failed with status 500; try later"),
        (Fault.status(503), PortalFailure, "failed with status 503; try later"),
        (Fault.reset(), PortalUnreachable, "cannot be reached"),
        (Fault.cut(10), PortalFailure, "broke off in the middle"),
    ],
)
def test_a_failure_that_stays_ends_in_one_sentence(
    emulator: Emulator, client: Client, fault: Fault, kind: type[Exception], said: str
) -> None:
    emulator.fail(ALWAYS, fault, times=None)
    with pytest.raises(kind, match=said):
        client.json(DATASETS)
    assert client.requests_made == 2


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault.html(), NotAPortal, "a web page came instead of data"),
        (Fault.empty_body(), NotAPortal, "not JSON"),
        (Fault.status(404), NotAPortal, r"no Explore API v2\.1 there \(status 404\)"),
        (Fault.status(410), NotAPortal, r"no Explore API v2\.1 there \(status 410\)"),
        (Fault.status(401), AccessDenied, "without credentials; set ODS_API_KEY"),
        (Fault.status(403), AccessDenied, "without credentials; set ODS_API_KEY"),
        (Fault.status(405), RequestRefused, r"refuses the query \(status 405\)"),
    ],
)
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    emulator: Emulator, client: Client, fault: Fault, kind: type[Exception], said: str
) -> None:
    emulator.fail(ALWAYS, fault, times=None)
    with pytest.raises(kind, match=said):
        client.json(DATASETS)
    # Where there is nothing, two addresses of an older version are asked as well.
    older = 2 if fault.number in {404, 410} else 0
    assert client.requests_made == 1 + older
    assert len({request.path for request in emulator.requests}) == client.requests_made


def test_the_portals_own_words_are_passed_on(emulator: Emulator, client: Client) -> None:
    emulator.publish("d", fields=[{"name": "a", "type": "int"}], records=[{"a": 1}])
    with pytest.raises(RequestRefused, match="Unknown field: nope"):
        client.json(f"{DATASETS}/d/records", {"select": "nope"})
    with pytest.raises(DatasetNotFound, match="dataset nope does not exist"):
        client.json(f"{DATASETS}/nope")
    emulator.restrict("d")
    with pytest.raises(AccessDenied, match="don't have permission"):
        client.json(f"{DATASETS}/d/records")


def test_a_quota_that_starts_anew_soon_is_waited_for(emulator: Emulator, client: Client) -> None:
    emulator.fail(ALWAYS, Fault.quota(retry_after=1), times=1)
    started = time.monotonic()
    assert client.json(DATASETS)["total_count"] == 0
    assert time.monotonic() - started >= 1
    assert client.requests_made == 2


def test_a_quota_that_starts_anew_tomorrow_ends_the_run_and_says_when(
    emulator: Emulator, client: Client
) -> None:
    reset = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0)
    emulator.fail(ALWAYS, Fault.quota(reset=reset.isoformat(), unit="month"), times=None)
    with pytest.raises(QuotaExhausted, match=r"requests a month.*starts anew at 20") as spent:
        client.json(DATASETS)
    assert spent.value.reset == reset
    assert spent.value.exit_status == 3
    assert client.requests_made == 1


@pytest.mark.parametrize("after", ["soon", "\u00b2", "9" * 30, "-1", "Wed, 21 Oct 2026"])
def test_a_time_to_wait_that_nobody_can_read_is_no_time_at_all(after: str) -> None:
    with answering(429, b"Too many", Retry_After=after) as (url, seen):
        with pytest.raises(QuotaExhausted, match="does not say when") as spent:
            Client(url, attempts=1).json(DATASETS)
        assert spent.value.reset is None
        assert len(seen) == 1


def test_the_quota_left_is_kept_as_the_portal_states_it(client: Client) -> None:
    client.json(DATASETS)
    assert client.quota is not None
    assert (client.quota.limit, client.quota.remaining) == ("15000", "14999")
    assert client.quota.reset.endswith("00:00:00+00:00")


def test_an_unknown_host_is_not_asked_again() -> None:
    client = Client("portal.invalid")
    with pytest.raises(PortalUnreachable, match=r"no host https://portal\.invalid; check"):
        client.json(DATASETS)
    assert client.requests_made == 1


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PortalUnreachable, match="cannot be reached; check address and network"):
        Client(f"http://127.0.0.1:{port}", attempts=2).json(DATASETS)


def test_a_server_that_speaks_no_http_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 smtp.test ready\r\n")

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises((PortalUnreachable, PortalFailure)):
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}", attempts=1).json(DATASETS)
        server.join(60)


def test_silence_is_bounded(emulator: Emulator) -> None:
    emulator.fail(ALWAYS, Fault.stall(2), times=None)
    with pytest.raises(PortalUnreachable, match="did not answer in time; try later"):
        Client(emulator.url, attempts=1, read_timeout=0.3).json(DATASETS)


@pytest.mark.parametrize("body", [b"<xml/>", b"[1, 2", b"\xff\xfe", b"[" * 200_000, b""])
def test_what_is_no_json_is_no_portal(body: bytes) -> None:
    with answering(200, body) as (url, _), pytest.raises(NotAPortal, match="JSON"):
        Client(url).json(DATASETS)


def test_half_an_emoji_in_the_metadata_does_not_stop_a_run() -> None:
    with answering(200, b'["caf\\u00e9 \\ud83d", "\\ud83d\\ude00"]') as (url, _):
        assert Client(url).json(DATASETS) == ["café ?", "😀"]


def test_a_stream_that_breaks_says_so_and_is_not_begun_anew(
    emulator: Emulator, client: Client
) -> None:
    emulator.make_big("big", rows=20_000)
    emulator.fail("exports/csv", Fault.cut(50_000), times=None)
    with (
        pytest.raises(PortalFailure, match="broke off in the middle"),
        client.stream(f"{DATASETS}/big/exports/csv") as chunks,
    ):
        list(chunks)
    assert client.requests_made == 1


def test_a_client_that_is_told_to_stop_stops_between_two_pieces(
    emulator: Emulator, client: Client
) -> None:
    emulator.make_big("big", rows=20_000)
    with client.stream(f"{DATASETS}/big/exports/csv") as chunks:
        assert next(chunks)
        client.cancelled.set()
        with pytest.raises(PortalFailure, match="stopped on request"):
            list(chunks)
