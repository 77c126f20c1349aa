"""`doctor` where something is odd: other dialects, announced ends, catalogs with bad entries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ods_pipeline.cli.doctor import Finding, examine
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.quirks import Quirks
from ods_pipeline.errors import NotAPortal
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from tests.portal.answers import document, portal_of

FIELDS = [{"name": "a", "type": "text"}]


@dataclass
class Patient:
    """A portal that doctor looks at, and where its partitions go."""

    portal: Portal
    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake.of(self.folder, self.portal.slug)

    def found(self) -> dict[str, Finding]:
        url = f"duckdb:///{self.folder}/w.duckdb"
        return {f.subject: f for f in examine(self.portal, None, self.lake, url)}


def emulated(quirks: Quirks) -> Emulator:
    emulator = Emulator(sample=False, quirks=quirks)
    emulator.publish("towns", fields=FIELDS, records=[{"a": "x"}])
    return emulator


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[tuple[Emulator, Patient]]:
    with emulated(Quirks()) as emulator:
        yield emulator, Patient(Portal(emulator.url), tmp_path)


def test_the_first_api_is_recognised_in_one_sentence(tmp_path: Path) -> None:
    said = "speaks the first API (v1) of Opendatasoft alone, at /api/datasets/1.0/search/"
    with emulated(Quirks(dialect="v1")) as emulator:
        portal = Portal(emulator.url)
        with pytest.raises(NotAPortal) as refusal:
            portal.datasets()
        assert said in str(refusal.value)
        assert "ask those who run the portal to update it" in str(refusal.value)
        assert len(emulator.requests) == 5
        found = Patient(portal, tmp_path).found()
    assert said in found["portal"].text
    assert not found["portal"].good
    assert found["lake"].good
    assert "wfs" not in found


def test_an_older_version_is_named_and_no_fault(tmp_path: Path) -> None:
    with emulated(Quirks(dialect="v2.0")) as emulator:
        found = Patient(Portal(emulator.url), tmp_path).found()
        assert len(emulator.requests) <= 10
    assert all(finding.good for finding in found.values())
    assert "speaks Explore API v2.0: 1 datasets, 1 of them with records" in found["portal"].text
    assert "it has no v2.1, which gives more: ask those who run it" in found["portal"].text


def test_a_look_alike_is_recognised_by_a_dataset_that_was_landed_from_it(
    healthy: tuple[Emulator, Patient],
) -> None:
    emulator, patient = healthy
    (towns,) = patient.portal.datasets()
    land(patient.portal, LandingRequest(towns), patient.lake)
    # The same address, other software behind it.
    object.__setattr__(emulator.state.quirks, "dialect", "look-alike")
    emulator.requests.clear()
    finding = patient.found()["portal"]
    assert not finding.good
    assert "only imitates the Explore API: it gives records, of towns for instance" in finding.text
    assert "what is landed stays" in finding.text
    # Export and pages of the catalog, then four that try to tell what it is.
    assert len(emulator.requests) == 6
    assert patient.lake.receipts("records").keys() == {"towns"}


def test_a_look_alike_of_which_nothing_is_landed_is_no_portal_at_all(tmp_path: Path) -> None:
    with emulated(Quirks(dialect="look-alike")) as emulator:
        finding = Patient(Portal(emulator.url), tmp_path).found()["portal"]
    assert "it has no Explore API v2.1 there (status 404)" in finding.text


def test_an_announced_end_of_the_api_is_told_and_no_fault(tmp_path: Path) -> None:
    warning = "V2_1_SUNSET: v2.1 ends on 2030-01-01"
    with emulated(Quirks(deprecation=warning)) as emulator:
        found = Patient(Portal(emulator.url), tmp_path).found()
    assert found["api"].good
    assert f"the portal announces changes: {warning}; look for a newer" in found["api"].text


def test_a_portal_that_is_up_to_date_announces_nothing(
    healthy: tuple[Emulator, Patient],
) -> None:
    emulator, patient = healthy
    found = patient.found()
    assert "api" not in found
    assert all(finding.good for finding in found.values())
    assert len(emulator.requests) <= 6


def test_a_portal_that_moved_is_named_with_its_new_address(
    healthy: tuple[Emulator, Patient],
) -> None:
    emulator, patient = healthy
    emulator.fail(".", Fault.redirect("https://new.portal.test/api"), times=None)
    finding = patient.found()["portal"]
    assert not finding.good
    assert f"{emulator.url} passes requests on to https://new.portal.test" in finding.text
    assert "set ODS_PORTAL to its new address" in finding.text


def test_entries_that_are_refused_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    good = {"dataset_id": "good", "fields": FIELDS, "metas": {}}
    listed = [good, {**good, "dataset_id": ".."}, {**good, "dataset_id": 5}]
    with portal_of(lambda path, query: document(listed)) as served:
        finding = Patient(Portal(served.url), tmp_path).found()["portal"]
    assert not finding.good
    assert "3 datasets, 1 of them with records that you may read; 2 refused" in finding.text
    assert "such as ..: its dataset_id would lead to another path" in finding.text


@pytest.mark.parametrize("body", [b"{}", b"<html>", json.dumps({"nhits": 1}).encode()])
def test_something_else_that_answers_everywhere_is_taken_for_no_dialect(body: bytes) -> None:
    with portal_of(lambda path, query: (200, body)) as served:
        with pytest.raises(NotAPortal) as refusal:
            Portal(served.url).datasets()
        assert "of Opendatasoft alone" not in str(refusal.value)
        assert len(served.asked) == 5
