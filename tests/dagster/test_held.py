"""What is held back or stays behind in Dagster: said aloud, asked for once, taken by a person."""

from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.sync.configuration import Trust
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, rows, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
BOTH = ("records", "table")
WIDER = [*FIELDS, {"name": "note", "type": "text"}]


def accepting(*assets: str) -> dict[str, object]:
    """The launchpad's configuration of a person who has looked at it."""
    return {"ops": {f"demo__{asset}": {"config": {"accept": True}} for asset in assets}}


def held(there: World) -> dict[str, str]:
    """What the lake says is held: the dataset and why."""
    return {hold.dataset_id: hold.verdict for hold in read_holds(there.lake).values()}


def settled(there: World) -> World:
    """Two datasets, landed and loaded, and nothing asked of the portal since."""
    publish(there.portal, "trees", "roads")
    there.look()
    there.run(*BOTH, over=["roads", "trees"])
    there.sent()
    return there


@pytest.fixture
def landed(there: World) -> World:
    return settled(there)


@pytest.mark.parametrize(("left", "verdict"), [(0, "emptied"), (2, "shrunk")])
def test_a_dataset_that_lost_its_rows_keeps_those_of_before_and_fails_the_blocking_check(
    landed: World, left: int, verdict: str
) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:left])
    result = landed.run(*BOTH, over="trees", raise_on_error=False)
    assert "where 7 are landed, which stay" in reason(result)
    found = {item.check_name: item for item in result.get_asset_check_evaluations()}
    assert (found["complete"].passed, found["complete"].blocking) == (False, True)
    assert landed.lake.receipts("records")["trees"].rows == 7
    assert rows(landed, "SELECT count(*) FROM trees") == [(7,)]
    assert held(landed) == {"trees": verdict}


def test_what_is_held_is_not_fetched_again_before_the_portal_says_something_else(
    landed: World,
) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    landed.run("records", over="trees", raise_on_error=False)
    landed.sent()
    again = landed.run("records", over="trees", raise_on_error=False)
    assert landed.sent() == ["/catalog/datasets/trees"]
    assert "where 7 are landed, which stay" in reason(again)
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS)
    assert landed.run("records", over="trees").success
    assert held(landed) == {}


def test_a_person_takes_what_is_held_in_the_launchpad(landed: World) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    landed.run("records", over="trees", raise_on_error=False)
    assert landed.run(*BOTH, over="trees", run_config=accepting(*BOTH)).success
    assert rows(landed, "SELECT count(*) FROM trees") == [(2,)]
    assert held(landed) == {}


def test_a_frozen_dataset_whose_fields_changed_is_not_fetched_and_shows_the_difference(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, trust=Trust(schema_exceptions={"tr*": "freeze"})) as there:
        settled(there)
        portal.publish("trees", fields=WIDER, records=RECORDS)
        result = there.run(*BOTH, over="trees", raise_on_error=False)
        assert there.sent() == ["/catalog/datasets/trees"]
        assert "the publisher changed its fields: added note; the contract is freeze" in (
            reason(result)
        )
        found = {item.check_name: item for item in result.get_asset_check_evaluations()}
        assert not found["complete"].passed
        assert not found["schema_unchanged"].passed
        assert "added note" in str(found["schema_unchanged"].description)
        assert held(there) == {"trees": "frozen"}
        assert there.run(*BOTH, over="trees", run_config=accepting(*BOTH)).success
        assert rows(there, "SELECT count(note) FROM trees") == [(0,)]
        assert held(there) == {}


def test_a_quarantined_table_stays_behind_visibly_and_is_not_tried_for_ever(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, trust=Trust(schema_contract="quarantine")) as there:
        settled(there)
        there.asked()
        portal.publish("trees", fields=WIDER, records=RECORDS)
        there.look()
        runs = 0
        while asked := {name: keys for name, keys in there.asked().items() if name in BOTH}:
            there.carry_out(asked)
            runs += 1
        assert runs == 3, "records, its table, and the table once more"
        assert there.lake.receipts("records")["trees"].rows == 7
        result = there.run("table", over="trees", raise_on_error=False)
        assert "(added note): the data are landed, the table stays as it was" in reason(result)
        assert held(there) == {"trees": "quarantined"}
        assert rows(there, "SELECT dataset_id, verdict FROM _held") == [("trees", "quarantined")]
        there.run("records", over="trees")
        assert held(there) == {"trees": "quarantined"}
        assert there.run("table", over="trees", run_config=accepting("table")).success
        assert rows(there, "SELECT count(note) FROM trees") == [(0,)]
        assert held(there) == {}
        assert rows(there, "SELECT count(*) FROM _held") == [(0,)]


def test_the_catalogs_run_says_what_the_portal_withdrew_until_it_is_back(landed: World) -> None:
    landed.portal.withdraw("trees")
    landed.look()
    assert landed.partitions == {"roads"}
    landed.run("catalog")
    assert held(landed) == {"trees": "withdrawn"}
    assert rows(landed, "SELECT dataset_id, verdict, rows FROM _held") == [
        ("trees", "withdrawn", 7)
    ]
    told = landed.latest("catalog")
    assert value(told, "held") == 1
    assert "**trees** withdrawn" in str(value(told, "held_datasets"))
    assert rows(landed, "SELECT count(*) FROM trees") == [(7,)]


def test_a_catalog_that_leaves_out_what_the_portal_has_is_not_believed(landed: World) -> None:
    landed.portal.fail("/catalog/", Fault.fewer_datasets(1, honest=True), times=2)
    result = landed.run("catalog", raise_on_error=False)
    assert "the catalog leaves it out, but the portal has it" in reason(result)
    assert held(landed) == {}
    assert landed.run("catalog").success


def test_a_restricted_dataset_is_held_until_the_portal_shows_it_again(landed: World) -> None:
    landed.portal.restrict("trees")
    landed.run("catalog")
    assert held(landed) == {"trees": "restricted"}
    landed.portal.restrict("trees", restricted=False)
    landed.run("records", over="trees")
    assert held(landed) == {}


def test_what_is_shown_again_without_a_change_is_held_no_more_after_the_catalogs_run(
    landed: World,
) -> None:
    landed.portal.lie("trees", data_visible=False)
    landed.run("catalog")
    assert held(landed) == {"trees": "restricted"}
    landed.portal.lie("trees", data_visible=True)
    landed.run("catalog")
    assert held(landed) == {}


def test_a_withdrawn_dataset_is_held_by_its_own_run_too(landed: World) -> None:
    landed.portal.withdraw("trees")
    result = landed.run("records", over="trees", raise_on_error=False)
    assert "what is landed stays" in reason(result)
    assert held(landed) == {"trees": "withdrawn"}


def test_a_renamed_dataset_keeps_its_file_and_its_table_under_the_new_name(landed: World) -> None:
    landed.portal.rename("trees", "forest")
    landed.look()
    assert landed.partitions == {"roads", "forest"}
    landed.sent()
    assert landed.run(*BOTH, over="forest").success
    assert landed.sent() == ["/catalog/exports/json", "/catalog/datasets"]
    assert not landed.lake.partition("records", "trees").exists()
    assert value(landed.latest("records", "forest"), "formerly") == "trees"
    assert value(landed.latest("table", "forest"), "renamed_from") == "trees"
    assert rows(landed, "SELECT count(*) FROM forest") == [(7,)]
    assert rows(landed, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'trees'") == [(0,)]


def test_the_old_name_of_a_renamed_dataset_says_the_new_one(landed: World) -> None:
    landed.portal.rename("trees", "forest")
    result = landed.run("records", over="trees", raise_on_error=False)
    assert "the portal calls it forest now" in reason(result)
    assert held(landed) == {}


def test_a_verifying_run_changes_nothing_of_what_is_held(landed: World) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    config = {"ops": {"demo__records": {"config": {"mode": "verify"}}}}
    result = landed.run("records", over="trees", run_config=config, raise_on_error=False)
    assert "the portal has other rows than what is landed" in reason(result)
    assert held(landed) == {}


def test_the_job_says_what_is_held_and_takes_it_when_it_is_told_to(landed: World) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    landed.portal.withdraw("roads")
    result = landed.sync()
    assert reason(result).startswith("trees: the portal now gives 2 rows where 7 are landed")
    assert held(landed) == {"trees": "shrunk", "roads": "withdrawn"}
    assert rows(landed, "SELECT dataset_id FROM _held ORDER BY 1") == [("roads",), ("trees",)]
    assert landed.sync(accept=True, datasets=["trees"]).success
    assert held(landed) == {"roads": "withdrawn"}
    assert rows(landed, "SELECT count(*) FROM trees") == [(2,)]


def test_the_job_follows_a_new_name_without_a_fetch(landed: World) -> None:
    landed.portal.rename("trees", "forest")
    assert landed.sync().success
    assert landed.sent() == ["/catalog/exports/json", "/catalog/datasets"]
    assert landed.partitions == {"roads", "forest"}
    assert value(landed.latest("table", "forest"), "renamed_from") == "trees"


def test_the_job_fails_for_a_quarantined_table_until_a_person_accepts(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, trust=Trust(schema_contract="quarantine")) as there:
        settled(there)
        portal.publish("trees", fields=WIDER, records=RECORDS)
        for _ in range(2):
            assert "(added note): the data are landed" in reason(there.sync())
            assert held(there) == {"trees": "quarantined"}
        assert there.sync(accept=True).success
        assert held(there) == {}
