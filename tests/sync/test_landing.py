"""One dataset into the lake: whole and proven, or the old partition as it was."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    HeldBack,
    LakeUnwritable,
    NothingToLand,
    OdsPipelineError,
    PortalFailure,
    QuotaExhausted,
    TypeMismatch,
    Unproven,
)
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.sync import landing
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.update import redescribe
from ods_pipeline.sync.verdict import Kind, verdict
from tests.desk import TOWN_FIELDS, TOWNS, Bench

EXPORTS = "/exports/"


@pytest.fixture(params=[10**9, 0], ids=["proven after its rows", "proven beside its rows"])
def bench(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setattr(landing, "_LONG", request.param)
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS, metas={"title": "Towns"})
        yield Bench(emulator, tmp_path)


def test_a_landed_partition_says_where_it_comes_from_and_that_it_is_whole(bench: Bench) -> None:
    bench.emulator.describe("towns", license="ODbL", attributions=["IGN", "INSEE"])
    landing = bench.land()
    assert landing.changed
    assert landing.receipt == receipt(bench.file)
    told = landing.receipt
    dataset = bench.dataset()
    assert (told.kind, told.dataset_id, told.title) == ("records", "towns", "Towns")
    assert (told.license, told.attribution) == ("ODbL", "IGN, INSEE")
    assert (told.dataset_uid, told.data_processed) == (dataset.dataset_uid, dataset.data_processed)
    assert (told.rows, told.records_count) == (20, "20")
    assert told.proof.startswith("20 rows = live count 20; data_processed stood at 20")
    assert told.source_url.startswith(f"{bench.emulator.url}/api/explore/v2.1/catalog/datasets/")
    assert landing.bytes > 0
    assert bench.rows() == [{"code": r["code"], "n": r["n"]} for r in TOWNS]
    schema = pq.read_schema(bench.file)
    assert schema.field("code").metadata[b"description"] == b"INSEE"
    assert json.loads(schema.metadata[b"geo"])["primary_column"] == "where"


def test_landing_costs_one_export_one_count_and_one_look_at_the_date(bench: Bench) -> None:
    dataset = bench.dataset()
    bench.emulator.requests.clear()
    land(bench.portal, LandingRequest(dataset), bench.lake)
    tails = [request.path.partition("/datasets/towns")[2] for request in bench.emulator.requests]
    assert tails == ["/exports/parquet", "/records", ""]


def test_ctrl_c_while_the_portal_is_asked_for_the_proof_publishes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(landing, "proven", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.land()
    bench.untouched()


def test_both_exports_in_any_order_have_one_content(bench: Bench) -> None:
    first = bench.land()
    bench.emulator.republish("towns", shuffle=True)
    second = bench.land(extractor=Extractor(format="csv"), previous=first.receipt)
    assert (second.changed, second.receipt.format) == (False, "csv")
    assert second.receipt.content_hash == first.receipt.content_hash
    assert second.receipt.data_processed != first.receipt.data_processed
    assert second.receipt.file_sha256 != first.receipt.file_sha256


def test_one_value_more_is_another_content(bench: Bench) -> None:
    first = bench.land()
    bench.emulator.publish("towns", records=[*TOWNS[:-1], TOWNS[-1] | {"n": None}])
    assert bench.land(previous=first.receipt).changed


@pytest.mark.parametrize("format", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.short_rows(1), Unproven),
        (Fault.header_only(), Unproven),
        (Fault.appended_error(), Unproven),
        (Fault.cut(300), PortalFailure),
        (Fault.empty_body(), Unproven),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_an_export_that_is_not_whole_is_tried_twice_and_leaves_the_old_partition(
    bench: Bench, format: Any, fault: Fault, kind: type[OdsPipelineError]
) -> None:
    bench.emulator.fail(EXPORTS, fault, times=2)
    with pytest.raises(kind) as failure:
        bench.land(extractor=Extractor(format=format))
    assert failure.value.dataset == "towns"
    assert "\n" not in str(failure.value)
    bench.untouched()
    assert bench.land(extractor=Extractor(format=format)).receipt.rows == 20


@pytest.mark.parametrize("fault", [Fault.short_rows(3), Fault.cut(300), Fault.reset()])
def test_an_export_that_fails_once_lands_at_the_second_try(bench: Bench, fault: Fault) -> None:
    bench.emulator.fail(EXPORTS, fault, times=1)
    assert bench.land().receipt.rows == 20


def test_a_dataset_that_is_republished_while_it_is_read_is_read_again(bench: Bench) -> None:
    read = bench.dataset()
    bench.emulator.publish("towns", records=TOWNS[:7])
    landing = land(bench.portal, LandingRequest(read), bench.lake)
    assert landing.receipt.rows == 7
    assert landing.receipt.data_processed == bench.dataset().data_processed


def test_a_dataset_that_never_stands_still_is_unproven(bench: Bench) -> None:
    read = bench.dataset()
    seen = 0

    def publisher_at_work(size: int) -> None:
        nonlocal seen
        seen += 1
        bench.emulator.republish("towns")

    with pytest.raises(Unproven, match="republishing it while it was read") as failure:
        land(bench.portal, LandingRequest(read, on_bytes=publisher_at_work), bench.lake)
    assert str(failure.value).startswith("towns: ")
    assert seen >= 2
    bench.untouched()


def test_a_field_that_is_retyped_just_now_lands_with_its_new_type(bench: Bench) -> None:
    read = bench.dataset()
    bench.emulator.retype("towns", "n", "text")
    assert (
        land(bench.portal, LandingRequest(read), bench.lake).receipt.schema_hash != read.schema_hash
    )
    assert bench.rows()[3]["n"] == "3"


def test_a_count_that_is_stale_in_the_catalog_does_not_matter_if_the_live_one_is_right(
    bench: Bench,
) -> None:
    bench.emulator.lie("towns", records_count=19)
    told = bench.land().receipt
    assert (told.rows, told.records_count) == (20, "19")
    assert verdict(told, bench.dataset()).kind == Kind.UNCHANGED


def test_a_csv_that_is_nothing_but_its_header_is_never_an_empty_table(bench: Bench) -> None:
    bench.emulator.publish("towns", records=[])
    bench.emulator.lie("towns", records_count=20)
    for format in ("csv", "parquet"):
        with pytest.raises(AccessDenied, match="0 of the 20 records that its catalog counts"):
            bench.land(extractor=Extractor(format=format))
    bench.untouched()


def test_restricted_records_are_refused_in_advance_or_on_the_way(bench: Bench) -> None:
    visible = bench.dataset()
    bench.emulator.restrict("towns")
    with pytest.raises(AccessDenied, match=r"is restricted.*ask the portal for access"):
        bench.land()
    for format in ("csv", "parquet"):
        with pytest.raises(AccessDenied):
            land(
                bench.portal,
                LandingRequest(visible, extractor=Extractor(format=format)),
                bench.lake,
            )  # type: ignore[arg-type]
    bench.untouched()


def test_a_dataset_without_records_is_nothing_to_land(bench: Bench) -> None:
    dataset = replace(bench.dataset(), has_records=False)
    with pytest.raises(NothingToLand, match="towns holds no records to land"):
        land(bench.portal, LandingRequest(dataset), bench.lake)


def test_a_value_of_another_type_is_not_asked_for_a_second_time(bench: Bench) -> None:
    bench.emulator.publish("towns", fields=[{"name": "n", "type": "text"}], records=[{"n": "x"}])
    fields = tuple(replace(field, type="int") for field in bench.dataset().fields)
    lying = replace(bench.dataset(), fields=fields)
    bench.emulator.requests.clear()
    with pytest.raises(TypeMismatch, match="field 'n' is declared as int, but record 1 holds 'x'"):
        land(bench.portal, LandingRequest(lying, extractor=Extractor(format="csv")), bench.lake)
    assert len(bench.emulator.requests) == 1


def test_a_spent_quota_is_passed_on_at_once(bench: Bench) -> None:
    dataset = bench.dataset()
    bench.emulator.fail(EXPORTS, Fault.quota("2999-01-01T00:00:00Z"), times=None)
    with pytest.raises(QuotaExhausted):
        land(bench.portal, LandingRequest(dataset), bench.lake)
    bench.untouched()


def test_a_comparison_publishes_nothing(bench: Bench) -> None:
    landing = bench.land(publish=False)
    assert landing.receipt.rows == 20
    bench.untouched()


def test_a_format_that_cannot_be_landed_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="choose parquet or csv"):
        bench.land(extractor=Extractor(format="xlsx"))  # type: ignore[arg-type]


def test_new_labels_and_licence_are_written_without_a_request(bench: Bench) -> None:
    before = bench.land().receipt
    bench.emulator.relabel("towns", "n", label="Population", description="in 2026")
    bench.emulator.describe("towns", license="CC0")
    dataset = bench.dataset()
    bench.emulator.requests.clear()
    after = redescribe(dataset, bench.lake, before)
    assert not bench.emulator.requests
    assert after == receipt(bench.file)
    assert (after.license, after.content_hash) == ("CC0", before.content_hash)
    assert (after.fetched_at, after.proof) == (before.fetched_at, before.proof)
    schema = pq.read_schema(bench.file)
    assert schema.field("n").metadata[b"label"] == b"Population"
    assert len(bench.rows()) == 20
    assert verdict(after, dataset).kind == Kind.UNCHANGED


def test_a_damaged_partition_cannot_be_described_anew(bench: Bench) -> None:
    before = bench.land().receipt
    damaged = bytearray(bench.file.read_bytes())
    damaged[60] ^= 1
    bench.file.write_bytes(damaged)
    with pytest.raises(OdsPipelineError):
        redescribe(bench.dataset(), bench.lake, before)
    assert bench.file.read_bytes() == damaged


def test_a_lake_below_a_file_is_refused_before_anything_is_asked(bench: Bench) -> None:
    (bench.lake.root.parent).parent.joinpath("plain").write_text("")
    lake = Lake.of(bench.lake.root.parent.parent / "plain", bench.portal.slug)
    dataset = bench.dataset()
    bench.emulator.requests.clear()
    with pytest.raises(LakeUnwritable):
        land(bench.portal, LandingRequest(dataset), lake)
    assert not bench.emulator.requests


def test_rows_that_are_gone_without_a_count_never_replace_what_is_landed(bench: Bench) -> None:
    landed = bench.land()
    before = bench.file.read_bytes()
    bench.emulator.publish("towns", TOWN_FIELDS, [], {})
    bench.emulator.lie("towns", records_count=None)
    with pytest.raises(HeldBack, match="gives no rows where 20 are landed") as held:
        bench.land(previous=landed.receipt)
    assert held.value.verdict == "emptied"
    assert bench.file.read_bytes() == before
    assert bench.land(previous=landed.receipt, accept=True).receipt.rows == 0


def test_a_table_that_would_lose_most_of_its_rows_waits_for_a_person(bench: Bench) -> None:
    landed = bench.land()
    before = bench.file.read_bytes()
    bench.emulator.publish("towns", records=TOWNS[:9])
    dataset = bench.dataset()
    bench.emulator.requests.clear()
    with pytest.raises(HeldBack, match="gives 9 rows where 20 are landed, which stay") as held:
        land(bench.portal, LandingRequest(dataset, previous=landed.receipt), bench.lake)
    assert held.value.verdict == "shrunk"
    assert "accept it if it is right" in str(held.value)
    assert [request.path.split("/")[-1] for request in bench.emulator.requests] == ["records"]
    bench.emulator.lie("towns", records_count=20)
    with pytest.raises(HeldBack, match="gives 9 rows"):
        bench.land(previous=landed.receipt)
    assert bench.file.read_bytes() == before
    lenient = Rules(shrink=60)
    assert bench.land(previous=landed.receipt, rules=lenient).receipt.rows == 9
    assert bench.land(previous=landed.receipt, accept=True).receipt.rows == 9


def test_a_count_of_none_that_is_stale_keeps_nothing_back(bench: Bench) -> None:
    bench.emulator.lie("towns", records_count=0)
    landed = bench.land()
    assert landed.receipt.rows == 20
    assert bench.land(previous=landed.receipt).receipt.rows == 20


def test_a_dataset_that_is_empty_lands_as_a_typed_table_of_no_rows(bench: Bench) -> None:
    bench.emulator.publish("towns", records=[])
    landed = bench.land()
    assert landed.receipt.rows == 0
    assert landed.receipt.proof.startswith("0 rows = live count 0")
    assert pq.read_schema(bench.file).names == [item.name for item in bench.dataset().fields]


class Publisher:
    """Somebody who republishes the towns whenever a piece of them was read."""

    def __init__(self, bench: Bench, *counts: int) -> None:
        self.bench, self.counts = bench, list(counts)

    def __call__(self, size: int) -> None:
        if self.counts:
            self.bench.emulator.publish("towns", records=TOWNS[: self.counts.pop(0)])


def test_a_dataset_that_always_moves_is_taken_within_the_stated_tolerance_and_said_so(
    bench: Bench,
) -> None:
    at_work = Publisher(bench, 20, 19, 20, 19)
    told = bench.land(on_bytes=at_work, rules=Rules(drift=10)).receipt
    assert "within the tolerance of 10 %" in told.proof
    assert "was republishing it while it was read" in told.note
    assert verdict(told, bench.dataset()).kind == Kind.DATA


def test_a_dataset_that_moves_further_than_the_tolerance_is_refused(bench: Bench) -> None:
    at_work = Publisher(bench, 16, 12, 8, 4)
    with pytest.raises(Unproven):
        bench.land(on_bytes=at_work, rules=Rules(drift=10))
    bench.untouched()


def test_no_tolerance_excuses_missing_rows_of_a_dataset_that_stands_still(bench: Bench) -> None:
    bench.emulator.fail(EXPORTS, Fault.short_rows(1), times=None)
    with pytest.raises(Unproven, match="19 rows came where the portal counts 20"):
        bench.land(rules=Rules(drift=100))
    bench.untouched()


@pytest.mark.slow
def test_large_rows_make_small_row_groups(bench: Bench) -> None:
    fields = [{"name": "n", "type": "int"}, {"name": "story", "type": "text"}]
    records = [{"n": number, "story": f"{number:08}" * 80_000} for number in range(80)]
    bench.emulator.publish("towns", fields, records, {})
    bench.land()
    groups = pq.ParquetFile(bench.file).metadata
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert sum(sizes) == 80
    assert max(sizes) < 80


def test_an_export_that_was_asked_for_often_enough_is_not_asked_for_again(bench: Bench) -> None:
    bench.emulator.fail(EXPORTS, Fault.status(500), times=None)
    with pytest.raises(PortalFailure):
        bench.land()
    assert len([r for r in bench.emulator.requests if "/exports/" in r.path]) == 4
    bench.untouched()


def test_proving_and_publishing_hold_no_place_of_the_portal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, seen = bench.portal.client, []
    send = client._sender.send

    def watched(url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        state = client._budget._account.update(lambda state, _: (state, state))
        seen.append((EXPORTS in url, [(hold.left, hold.place) for hold in state.holds.values()]))
        return send(url, body, headers)

    dataset = bench.dataset()
    monkeypatch.setattr(client._sender, "send", watched)
    bench.emulator.fail("/records", Fault.miscount(1), times=1)
    with client.reserved(4, "towns"):
        land(bench.portal, LandingRequest(dataset), bench.lake)
    # The second try needs a place again, for its download.
    export, proof = True, False
    assert [(what, any(place for _, place in holds)) for what, holds in seen] == [
        *((export, True), (proof, False), (proof, False), (proof, False)),
        *((export, True), (proof, False), (proof, False)),
    ]
    assert [holds for _, holds in seen][:4] == [
        [(4, True)],
        [(3, False)],
        [(2, False)],
        [(1, False)],
    ]
