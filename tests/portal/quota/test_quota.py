"""One quota for all who ask a portal from this host: what is set aside, waited for and refused."""

import os
import threading
import time
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import PortalFailure, QuotaExhausted
from ods_pipeline.portal.auth import ApiKey, OAuth2
from ods_pipeline.portal.http.body import pieces
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.trickle import Slowest, TooSlow
from ods_pipeline.portal.quota.state import State
from ods_pipeline.portal.quota.state_file import StateFile
from tests.portal.answers import answering
from tests.portal.quota.account_behaviour import DATASETS, EveryAccount, state_of

RECORDS = f"{DATASETS}/d/records"


@pytest.fixture
def state() -> str:
    return ""


@pytest.mark.slow
class TestFile(EveryAccount):
    """All that every account does."""


def client_of(emulator: Emulator, **options: Any) -> Client:
    options = {"max_wait": 0, "attempts": 1, "now": emulator.quota_clock, **options}
    return Client(emulator.url, **options)


def test_a_dataset_that_needs_more_than_is_left_is_not_begun(emulator: Emulator) -> None:
    client = client_of(emulator)
    emulator.use_up(85)
    client.json(DATASETS)
    with client.reserved(9, "d"):
        pass
    with pytest.raises(QuotaExhausted) as spent, client.reserved(10, "d"):
        raise AssertionError("it was begun")
    tomorrow = datetime.fromtimestamp(emulator.quota_clock(), UTC) + timedelta(days=1)
    assert spent.value.reset == tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)
    assert spent.value.message == (
        f"14 of 100 requests to {client.slug} are left, of which 5 are kept back, but 10 are "
        f"wanted; the request quota starts anew at {tomorrow:%Y-%m-%d} 00:00 UTC; nothing was "
        "asked: run again then, or use an API key with a larger quota"
    )
    assert spent.value.dataset == "d"
    assert len(emulator.requests) == 1


def test_what_others_have_set_aside_is_theirs_until_they_are_done(emulator: Emulator) -> None:
    mine, theirs = client_of(emulator), client_of(emulator)
    mine.json(DATASETS)
    with ExitStack() as held:
        other = threading.Thread(target=held.enter_context, args=[theirs.reserved(90, "x")])
        other.start()
        other.join()
        with (
            pytest.raises(QuotaExhausted, match=r"99 of 100 .* 90 are promised to others, but 5"),
            mine.reserved(5, "d"),
        ):
            pass
        with mine.reserved(4, "d"):
            mine.json(DATASETS)
            assert sum(h.left for h in state_of(mine).holds.values()) == 93
        (name,) = state_of(mine).holds
        mine._budget._change(lambda state, _: (State(state.sent, state.window), name))
    with mine.reserved(90, "d"), mine.reserved(500, "d"):
        pass


def test_the_margin_is_left_for_requests_that_nobody_set_aside(emulator: Emulator) -> None:
    client = client_of(emulator)
    emulator.use_up(96)
    client.json(DATASETS)
    with pytest.raises(QuotaExhausted, match=r"3 of 100"), client.reserved(1, "d"):
        pass
    for _ in range(3):
        client.json(DATASETS)
    with pytest.raises(QuotaExhausted, match=r"requests of .* is spent.*nothing was asked"):
        client.json(DATASETS)
    assert len(emulator.requests) == client.requests_made == 4


def test_a_dataset_that_needs_more_than_any_day_gives_has_its_turn_with_a_whole_day(
    emulator: Emulator,
) -> None:
    client = client_of(emulator)
    client.json(DATASETS)
    with client.reserved(4_000, "d"):
        client.json(DATASETS)
    client.json(DATASETS)
    with pytest.raises(QuotaExhausted), client.reserved(4_000, "d"):
        pass


def test_a_429_whose_date_nobody_believes_closes_nothing(emulator: Emulator) -> None:
    client = client_of(emulator)
    for reset in ("2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z", "soon"):
        emulator.fail(".", Fault.quota(reset), times=1)
        with pytest.raises(QuotaExhausted):
            client.json(DATASETS)
        assert client.json(DATASETS)["total_count"] == 1


@pytest.mark.parametrize("unit", ["day", "month"])
@pytest.mark.parametrize("reset", ["text", "iso", "epoch"])
def test_a_window_that_is_over_is_forgotten(emulator: Emulator, unit: str, reset: str) -> None:
    client = client_of(emulator)
    emulator.ration(20, unit, reset)
    emulator.use_up(13)
    client.json(DATASETS)
    with pytest.raises(QuotaExhausted, match="6 of 20"), client.reserved(2, "d"):
        pass
    emulator.pass_time(days=1 if unit == "day" else 32)
    with client.reserved(2, "d"):
        client.json(DATASETS)
    assert client.quota
    assert client.quota.remaining == "19"


def test_days_go_by_and_each_gives_what_it_has(emulator: Emulator) -> None:
    done = 0
    for _ in range(4):
        client = client_of(emulator)
        client.json(DATASETS)
        try:
            while done < 70:
                with client.reserved(4, "d"):
                    for _ in range(4):
                        client.json(DATASETS)
                done += 1
        except QuotaExhausted as spent:
            if spent.reset is None:
                raise
            emulator.pass_time(seconds=spent.reset.timestamp() - emulator.quota_clock() + 60)
        assert client.requests_made <= 95
    assert done == 70
    assert len(emulator.requests) == 4 + 280


def test_what_other_people_use_up_is_noticed_with_the_next_reply(emulator: Emulator) -> None:
    client = client_of(emulator)
    client.json(DATASETS)
    emulator.use_up(90)
    with client.reserved(10, "d"):
        client.json(DATASETS)
    with pytest.raises(QuotaExhausted, match="8 of 100"), client.reserved(4, "d"):
        pass


@pytest.mark.parametrize("terms", [{"headers": False}, {"reset": "none"}, {"reset": "anon"}])
def test_without_a_date_or_a_number_asking_alone_tells(
    emulator: Emulator, terms: dict[str, Any]
) -> None:
    client = client_of(emulator)
    emulator.ration(3, **terms)
    for _ in range(3):
        client.json(DATASETS)
    with pytest.raises(QuotaExhausted, match="3 requests a day"):
        client.json(DATASETS)
    assert len(emulator.requests) == 4


def test_a_limit_beyond_64_bits_is_as_good_as_none(emulator: Emulator) -> None:
    client = client_of(emulator)
    emulator.ration(99999999999999999999999)
    for _ in range(2):
        client.json(DATASETS)
    with client.reserved(10**9, "d"):
        client.json(DATASETS)
    assert client.quota
    assert client.quota.limit == "99999999999999999999999"


def test_a_dataset_with_a_quota_of_its_own_stops_alone(emulator: Emulator) -> None:
    client = client_of(emulator)
    emulator.ration_dataset("d", 12)
    with client.reserved(5, "d"):
        for _ in range(5):
            client.json(RECORDS)
    with pytest.raises(QuotaExhausted, match="7 of 12 requests to d at"), client.reserved(3, "d"):
        pass
    with client.reserved(3, "other"):
        client.json(DATASETS)
    emulator.ration_dataset("d", 1)
    client.json(RECORDS)
    with pytest.raises(QuotaExhausted, match=r"of d at .* is spent"):
        client.json(RECORDS)
    emulator.pass_time(days=32)
    client.json(RECORDS)


def test_the_429_of_one_dataset_closes_that_one(emulator: Emulator) -> None:
    client, other = client_of(emulator), client_of(emulator)
    emulator.ration_dataset("d", 0)
    with pytest.raises(QuotaExhausted, match=r"0 requests a month|is spent"):
        client.json(RECORDS)
    asked = len(emulator.requests)
    with pytest.raises(QuotaExhausted, match=r"of d at .*nothing was asked"):
        other.json(RECORDS)
    assert len(emulator.requests) == asked
    other.json(DATASETS)


def test_a_quota_that_starts_anew_soon_is_waited_for(emulator: Emulator) -> None:
    client = client_of(emulator, max_wait=5)
    emulator.use_up(99)
    client.json(DATASETS)
    emulator.pass_time(seconds=86_400 - emulator.quota_clock() % 86_400 - 0.3)
    with client.reserved(5, "d"):
        client.json(DATASETS)


def test_whoever_waits_for_a_quota_can_be_stopped(emulator: Emulator) -> None:
    client = client_of(emulator, max_wait=10**6)
    emulator.use_up(99)
    client.json(DATASETS)
    threading.Timer(0.1, client.cancelled.set).start()
    with pytest.raises(PortalFailure, match="stopped on request"), client.reserved(5, "d"):
        pass


def test_as_many_datasets_at_once_as_the_portal_has_places(emulator: Emulator) -> None:
    clients = [client_of(emulator, max_concurrent=2) for _ in range(6)]
    under_way, most = 0, 0
    lock = threading.Lock()

    def work(client: Client) -> None:
        nonlocal under_way, most
        with client.reserved(1, "d"):
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.02)
            with lock:
                under_way -= 1

    threads = [threading.Thread(target=work, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert most == 2


def test_a_portal_in_trouble_is_asked_by_fewer_at_once(emulator: Emulator) -> None:
    client = client_of(emulator)
    client.json(DATASETS)
    assert state_of(client).pace.places == 4
    for _ in range(2):
        emulator.fail(".", Fault.status(503), times=1)
        with pytest.raises(PortalFailure):
            client.json(DATASETS)
    assert state_of(client).pace.places == 1
    for _ in range(8):
        client.json(DATASETS)
    assert state_of(client_of(emulator)).pace.places == 2


def test_silence_counts_as_trouble(emulator: Emulator) -> None:
    client = client_of(emulator, read_timeout=0.2)
    emulator.fail(".", Fault.stall(0.5), times=1)
    with pytest.raises(Exception, match="did not answer in time"):
        client.json(DATASETS)
    found = state_of(client)
    assert (found.pace.places, found.holds, found.sent) == (2, {}, 1)


def test_each_payer_has_a_budget_of_their_own(emulator: Emulator, own_state: Path) -> None:
    emulator.add_user("me", "pw")
    emulator.add_key("a-secret-key", "me", quota=1)
    emulator.add_key("another-key", "me", quota=50)
    one = client_of(emulator, credentials=ApiKey("a-secret-key"))
    one.json(DATASETS)
    with pytest.raises(QuotaExhausted):
        one.json(DATASETS)
    client_of(emulator).json(DATASETS)
    client_of(emulator, credentials=ApiKey("another-key")).json(DATASETS)
    files = sorted(path.name for path in own_state.rglob("*.json"))
    assert len(files) == 3
    assert files[0] == f"{one.slug}--anonymous.json"
    for path in own_state.rglob("*.json"):
        assert "secret" not in path.name + path.read_text()
        assert path.stat().st_mode & 0o77 == 0
    login = client_of(emulator, credentials=OAuth2("app", "its-secret"))
    assert login.signer.quota_owner.startswith("application-")


def test_a_damaged_file_is_begun_anew(emulator: Emulator) -> None:
    client = client_of(emulator)
    client.json(DATASETS)
    path = client._budget._account.path
    assert path
    for text in (b"", b"{", b"\0" * 500, b"[1]", b'{"form": 9}'):
        path.write_bytes(text)
        client.json(DATASETS)
        assert state_of(client).sent == 1


def test_where_no_home_can_be_written_the_budget_is_among_passing_files(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "passing"))
    client = client_of(emulator)
    client.json(DATASETS)
    path = client._budget._account.path
    assert path
    assert path.is_relative_to(tmp_path / "passing")
    assert [found.name for found in tmp_path.iterdir()] == ["passing"]
    assert state_of(client_of(emulator)).sent == 1


def test_where_nothing_can_be_written_the_budget_is_this_processs_own(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(nowhere))
    monkeypatch.setattr("tempfile.tempdir", str(nowhere))
    emulator.use_up(97)
    client_of(emulator).json(DATASETS)
    other = client_of(emulator)
    with pytest.raises(QuotaExhausted, match="2 of 100"), other.reserved(1, "d"):
        pass
    assert list(tmp_path.iterdir()) == [nowhere]


def test_a_folder_that_vanishes_costs_no_request(emulator: Emulator, own_state: Path) -> None:
    client = client_of(emulator)
    client.json(DATASETS)
    for path in [*own_state.rglob("*.json")]:
        path.unlink()
        path.parent.rmdir()
    client.json(DATASETS)
    assert state_of(client).sent == 2


def test_what_nobody_has_asked_for_in_months_is_taken_away(
    emulator: Emulator, own_state: Path
) -> None:
    folder = own_state / "ods-pipeline" / "quota"
    folder.mkdir(parents=True)
    for name, days in (("old", 61), ("new", 30)):
        (folder / f"{name}.json").write_text("{}")
        moment = time.time() - days * 86_400
        os.utime(folder / f"{name}.json", (moment, moment))
    client = client_of(emulator)
    client.json(DATASETS)
    left = {path.stem for path in folder.iterdir()}
    assert left == {"new", f"{client.slug}--anonymous"}


def test_another_one_who_keeps_the_file_locked_is_not_waited_for_long(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ods_pipeline.portal.quota.state_file._PATIENCE", 0.05)
    client = client_of(emulator)
    client.json(DATASETS)
    stuck = StateFile(client._budget._name)

    def meanwhile(state: State, _: float) -> tuple[State, None]:
        # As another process would find it, this thread's turn aside.
        shelf = client._budget._account
        with pytest.raises(TimeoutError):
            shelf._update_file(lambda found, _: (found, None))
        return state, None

    stuck.update(meanwhile)
    client.json(DATASETS)


def test_a_trickle_is_given_up_and_a_thin_stream_is_not(emulator: Emulator) -> None:
    emulator.make_big("big", rows=400)
    path = f"{DATASETS}/big/exports/csv"
    slowest = Slowest(rate=200, seconds=0.5)
    for rate, trickles in ((60, True), (40_000, False)):
        client = client_of(emulator, slowest=slowest)
        emulator.fail("exports/csv", Fault.slow(rate), times=1)
        if trickles:
            with (
                pytest.raises(PortalFailure, match=r"too slowly, \d+ bytes in \d+ seconds; try"),
                client.stream(path) as chunks,
            ):
                list(chunks)
        else:
            with client.stream(path) as chunks:
                assert b"".join(chunks).count(b"\n") == 401


class _Raw:
    """A body of ten pieces, with a pause before each."""

    def __init__(self, pause: float) -> None:
        self._pause, self._came = pause, 0

    def read1(self, _: int, decode_content: bool) -> bytes:
        time.sleep(self._pause)
        self._came += 10
        return b"0123456789" if self._came <= 100 and decode_content else b""

    def tell(self) -> int:
        return self._came


@pytest.mark.parametrize(("portals", "takers"), [(0, 0.12), (0.12, 0)])
def test_it_is_the_portal_that_must_not_be_slow_and_not_who_takes_the_pieces(
    portals: float, takers: float
) -> None:
    response = requests.Response()
    response.raw = _Raw(portals)
    found = pieces(response, Slowest(rate=10**6, seconds=0.9), lambda: None)
    with pytest.raises(TooSlow) if portals else nullcontext():
        for _ in found:
            time.sleep(takers)


def test_the_pause_between_attempts_can_be_short() -> None:
    with answering(500, b"") as (url, seen):
        begun = time.monotonic()
        with pytest.raises(PortalFailure):
            Client(url, attempts=6, pause=0.001).json(DATASETS)
        assert time.monotonic() - begun < 25, "31 seconds by default"
    assert len(seen) == 6


def test_who_gave_a_place_back_keeps_what_is_set_aside(emulator: Emulator) -> None:
    one, other = client_of(emulator, max_concurrent=1), client_of(emulator, max_concurrent=1)
    one.json(DATASETS)
    entered = threading.Event()

    def work() -> None:
        with other.reserved(3, "x"), other.download_slot():
            entered.set()

    thread = threading.Thread(target=work)
    with one.reserved(3, "d"):
        with one.download_slot():
            one.json(DATASETS)
            thread.start()
            assert not entered.wait(0.05)
        assert entered.wait(60)
        thread.join(60)
        assert [(hold.left, hold.place) for hold in state_of(one).holds.values()] == [(2, False)]
        one.json(DATASETS)
        with one.download_slot():
            assert [hold.place for hold in state_of(one).holds.values()] == [True]
            one.json(DATASETS)
    assert state_of(one).holds == {}


def test_without_a_reservation_there_is_no_place_to_take(emulator: Emulator) -> None:
    client = client_of(emulator)
    with client.download_slot():
        assert state_of(client).holds == {}
