"""When an asset deserves a run, as pure data: no run is started, no portal is asked."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from ods_pipeline.dagster.automation import (
    refresh_cron,
    refresh_on_change,
    refresh_on_change_or_age,
)

PARTITIONS = dg.DynamicPartitionsDefinition(name="p/datasets")
DATASET = dg.AssetKey(["p", "dataset"])


class Situation:
    """Two assets as the portal's, and Dagster's events written by hand."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.failing: set[str] = set()
        self.cursor = None
        self.define("1")

    def define(self, code_version: str) -> None:
        dataset = dg.AssetSpec(DATASET, partitions_def=PARTITIONS)

        @dg.asset(
            key=["p", "records"],
            deps=[DATASET],
            partitions_def=PARTITIONS,
            code_version=code_version,
            automation_condition=refresh_on_change(),
        )
        def records(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            if context.partition_key in self.failing:
                raise dg.Failure("as told")
            content = self.content.get(context.partition_key, "same")
            return dg.MaterializeResult(data_version=dg.DataVersion(content))

        @dg.asset(
            key=["p", "table"],
            deps=[records],
            partitions_def=PARTITIONS,
            automation_condition=refresh_on_change(),
        )
        def table() -> None: ...

        self.content: dict[str, str] = {}
        self.defs = dg.Definitions([dataset, records, table])
        self.job = self.defs.get_repository_def().get_implicit_global_asset_job_def()

    def report(self, version: str, *names: str) -> None:
        for name in names:
            self.instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    DATASET, partition=name, tags={"dagster/data_version": version}
                )
            )

    def tick(self) -> str:
        """One evaluation: what is asked for, as `records:ab table:c`."""
        found = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = found.cursor
        self.asked = {
            name: sorted(found.get_requested_partitions(dg.AssetKey(["p", name])))
            for name in ("records", "table")
        }
        return " ".join(f"{name}:{''.join(keys)}" for name, keys in self.asked.items() if keys)

    def run(self) -> None:
        """Carry out what the last tick asked for."""
        for name, keys in self.asked.items():
            for key in keys:
                self.job.execute_in_process(
                    instance=self.instance,
                    asset_selection=[dg.AssetKey(["p", name])],
                    partition_key=key,
                    raise_on_error=False,
                )

    def settle(self) -> str:
        """Tick and run until nothing is asked for: everything that was."""
        said = []
        while text := self.tick():
            said.append(text)
            self.run()
            assert len(said) < 10
        return " ".join(said)


@pytest.fixture
def situation() -> Iterator[Situation]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("p/datasets", ["a", "b", "c"])
        yield Situation(instance)


@pytest.fixture
def settled(situation: Situation) -> Situation:
    situation.report("1", "a", "b", "c")
    situation.settle()
    return situation


def test_partitions_that_nobody_reported_on_are_not_asked_for(situation: Situation) -> None:
    assert situation.settle() == ""


def test_a_first_version_is_fetched_and_then_loaded_once(situation: Situation) -> None:
    situation.report("1", "a", "b", "c")
    assert situation.settle() == "records:abc table:abc"


def test_the_same_version_reported_again_starts_nothing(settled: Situation) -> None:
    settled.report("1", "a", "b")
    assert settled.settle() == ""


def test_a_new_version_is_fetched_and_a_false_change_is_not_loaded(settled: Situation) -> None:
    settled.report("2", "b")
    assert settled.settle() == "records:b"


def test_a_true_change_is_loaded_too(settled: Situation) -> None:
    settled.content["b"] = "other"
    settled.report("2", "b")
    assert settled.settle() == "records:b table:b"


def test_a_failed_run_is_tried_once_more_and_not_for_ever(settled: Situation) -> None:
    settled.failing.add("b")
    settled.report("2", "b")
    assert settled.settle() == "records:b records:b"
    assert settled.settle() == ""


@pytest.mark.parametrize("condition", [refresh_on_change(), refresh_on_change_or_age(24)])
def test_an_asset_without_partitions_is_tried_once_more_and_not_for_ever(
    condition: dg.AutomationCondition[dg.AssetKey],
) -> None:
    asked: list[int] = []
    cursor = None

    def tick() -> int:
        nonlocal cursor
        found = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
        cursor = found.cursor
        return found.get_num_requested(dg.AssetKey("own"))

    @dg.asset(deps=[DATASET], automation_condition=condition)
    def own() -> None:
        tick()  # As the daemon does meanwhile: Dagster does not count it as failed now.
        raise dg.Failure("as told")

    defs = dg.Definitions([dg.AssetSpec(DATASET), own])
    with dg.DagsterInstance.ephemeral() as instance:
        tick()
        for version in ("1", "2"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(DATASET, tags={"dagster/data_version": version})
            )
            asked.clear()
            for _ in range(5):
                asked.append(tick())
                if asked[-1]:
                    job = defs.resolve_implicit_global_asset_job_def()
                    job.execute_in_process(instance=instance, raise_on_error=False)
            assert asked == [1, 1, 0, 0, 0]


def test_a_version_after_failures_is_fetched(settled: Situation) -> None:
    settled.failing.add("b")
    settled.report("2", "b")
    settled.settle()
    settled.failing.clear()
    settled.content["b"] = "other"
    settled.report("3", "b")
    assert settled.settle() == "records:b table:b"


def test_a_version_that_comes_while_an_older_one_is_fetched_is_not_lost(
    settled: Situation,
) -> None:
    settled.report("2", "b")
    assert settled.tick() == "records:b"
    settled.report("3", "b")
    assert settled.tick() == "records:b"


def test_another_version_of_the_code_asks_for_everything(settled: Situation) -> None:
    settled.define("2")
    assert settled.settle().startswith("records:abc")


@pytest.mark.parametrize("hours", [1, 2, 3, 24, 500])
def test_the_catalog_is_read_often_enough_not_to_count_as_old(hours: int) -> None:
    step = int(refresh_cron(hours).split()[1].removeprefix("*/"))
    assert step == 1 or step <= hours / 2


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[[str], bool]]:
    """Says whether a model of one dataset is asked for after what has happened since the last look.

    What happens is `run`, which is the model's, or another version of the dataset.
    """

    @dg.asset(deps=[DATASET], automation_condition=refresh_on_change())
    def model() -> None: ...

    defs = dg.Definitions([dg.AssetSpec(DATASET), model])
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        cursor = None

        def after(events: str) -> bool:
            nonlocal cursor
            for event in events.split():
                if event == "run":
                    dg.materialize([model], instance=instance)
                    continue
                tags = {"dagster/data_version": event}
                seen = dg.AssetMaterialization(DATASET, tags=tags)
                instance.report_runless_asset_event(seen)
            result = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
            cursor = result.cursor
            return bool(result.total_requested)

        yield after


def test_an_edit_between_the_end_of_a_run_and_the_next_look_is_not_forgotten(
    asked: Callable[[str], bool],
) -> None:
    assert asked("v1")
    assert asked("run v2")
    assert not asked("run")
    assert not asked("")


def test_the_same_rows_again_ask_for_nothing_downstream(asked: Callable[[str], bool]) -> None:
    assert asked("v1")
    assert not asked("run")
    assert not asked("v1")
    assert asked("v2")
