"""What the command line and Dagster once did differently, and now do alike."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.configuration import Trust
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.run import Run, Watcher
from ods_pipeline.sync.selection import Selection
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, rows, world
from tests.desk import Desk

WIDER = [*FIELDS, {"name": "note", "type": "text"}]
QUARANTINE = Rules(contracts=(("*", "quarantine"),))

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        publish(emulator, "trees", "roads")
        yield emulator


@pytest.fixture
def there(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    with world(tmp_path, portal, trust=Trust(schema_contract="quarantine")) as found:
        found.look()
        yield found


def accepting(*assets: str) -> dict[str, object]:
    return {"ops": {f"demo__{asset}": {"config": {"accept": True}} for asset in assets}}


def test_accepting_a_shrunk_table_does_not_accept_columns_that_nobody_was_shown(
    portal: Emulator, there: World, tmp_path: Path
) -> None:
    both = ("records", "table")
    there.run(*both, over="trees")
    portal.publish("trees", fields=WIDER, records=RECORDS[:2])
    there.run("records", over="trees", raise_on_error=False)
    result = there.run(*both, over="trees", run_config=accepting(*both), raise_on_error=False)
    assert "(added note): the data are landed, the table stays as it was" in reason(result)
    assert rows(there, "SELECT count(*) FROM trees") == [(7,)]
    assert there.run("table", over="trees", run_config=accepting("table")).success
    assert rows(there, "SELECT count(note) FROM trees") == [(0,)]

    desk = Desk(portal, tmp_path / "desk")
    portal.publish("roads", fields=FIELDS, records=RECORDS)
    desk.sync("roads", rules=QUARANTINE)
    portal.publish("roads", fields=WIDER, records=RECORDS[:2])
    assert desk.sync("roads", rules=QUARANTINE)["roads"].verdict == "shrunk"
    assert desk.sync("roads", rules=QUARANTINE, accept=True)["roads"].verdict == "quarantined"
    assert desk.loaded("roads") == 7
    assert desk.sync("roads", rules=QUARANTINE, accept=True)["roads"].loaded == "loaded"


def test_an_incomplete_catalog_is_completed_from_its_pages_in_dagster_too(
    portal: Emulator, there: World
) -> None:
    portal.fail("catalog/exports", Fault.fewer_datasets(1), times=None)
    assert there.run("catalog").success
    assert rows(there, "SELECT dataset_id FROM _catalog ORDER BY 1") == [("roads",), ("trees",)]


def test_a_portal_of_an_older_api_is_named_in_dagster_too(portal: Emulator, there: World) -> None:
    object.__setattr__(portal.state.quirks, "dialect", "v1")
    result = there.run("catalog", raise_on_error=False)
    assert "speaks the first API (v1) of Opendatasoft alone" in reason(result)


def test_labels_follow_where_another_run_landed_the_data_meanwhile(
    portal: Emulator, tmp_path: Path
) -> None:
    desk = Desk(portal, tmp_path)
    desk.sync()
    portal.publish("trees", fields=FIELDS, records=RECORDS[:6])
    before = Portal(portal.url).dataset("trees")
    portal.relabel("trees", "people", label="Population")

    class Another(Watcher):
        def planned(self, steps: Sequence[Planned]) -> None:
            land(Portal(portal.url), LandingRequest(before), desk.lake)

    context = RunContext(Portal(portal.url), desk.lake)
    outcomes = Run(context, desk.warehouse, Another())(Selection(("trees",), typed=True))
    assert [outcome.action for outcome in outcomes] == ["described anew"]
    schema = pq.read_schema(desk.lake.partition("records", "trees"))
    assert schema.field("people").metadata[b"label"] == b"Population"
