"""Part of a portal: which datasets a run is about, by names, patterns and the catalog's filter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.cli.main import cli
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError, RequestRefused
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.sync.selection import EVERYTHING, Selection
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows

BIKES = ("velib-now", "velib-places", "velib-old")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for name in (*BIKES, "roads"):
            emulator.publish(name, fields=FIELDS, records=rows(2))
            emulator.describe(name, publisher="City" if name in BIKES else "State")
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path)


def typed(*names: str, exclude: tuple[str, ...] = (), where: str = "") -> Selection:
    return Selection(names, exclude, where, typed=bool(names))


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (typed("velib-*"), {*BIKES}),
        (typed("velib-*", exclude=("*-old",)), {"velib-now", "velib-places"}),
        (typed("velib-n?w", "roads"), {"velib-now", "roads"}),
        (typed("[vr]*", exclude=("velib-now", "velib-old")), {"velib-places", "roads"}),
        (typed(exclude=("velib-*",)), {"roads", "towns"}),
        (typed(where="publisher = 'City'"), {*BIKES}),
        (typed("*-now", "roads", where="publisher = 'City'"), {"velib-now"}),
        (Selection(("roads",)), {"roads"}),
    ],
)
def test_a_run_is_about_the_chosen_datasets_alone(
    desk: Desk, selection: Selection, chosen: set[str]
) -> None:
    outcomes = desk.sync(selection=selection)
    assert {name: item.action for name, item in outcomes.items()} == dict.fromkeys(chosen, "landed")
    assert set(desk.sync(selection=selection)) == chosen
    assert desk.exported == []
    assert len(desk.emulator.requests) == (2 if selection.where else 1)


def test_what_matches_nothing_is_a_failure_that_says_so(desk: Desk) -> None:
    outcomes = desk.sync(selection=typed("tram-*", "roads", "rods"))
    assert outcomes["roads"].action == "landed"
    assert outcomes["tram-*"].action == "failed"
    assert outcomes["tram-*"].reason.endswith("no dataset of the portal has such a name")
    assert "did you mean roads?" in outcomes["rods"].reason


def test_a_filter_of_the_catalog_that_nothing_passes_or_that_is_wrong_is_a_sentence(
    desk: Desk,
) -> None:
    with pytest.raises(ConfigurationError, match=r"no dataset of .* passes the filter"):
        desk.sync(selection=typed(where="publisher = 'Nobody'"))
    with pytest.raises(RequestRefused, match="publishr"):
        desk.sync(selection=typed(where="publishr = 'City'"))


def test_a_restricted_dataset_fails_by_its_name_and_is_skipped_by_a_pattern(desk: Desk) -> None:
    desk.emulator.restrict("velib-old")
    assert desk.sync(selection=typed("velib-*"))["velib-old"].action == "skipped"
    assert desk.sync(selection=Selection(("velib-old",)))["velib-old"].action == "skipped"
    assert desk.sync(selection=typed("velib-old"))["velib-old"].action == "failed"


def test_a_withdrawn_dataset_is_held_whether_a_pattern_or_a_filter_chose_it(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("velib-old")
    for selection in (typed("velib-*"), typed(where="publisher = 'City'")):
        outcome = desk.sync(selection=selection)["velib-old"]
        assert (outcome.action, outcome.verdict) == ("held", "withdrawn")
    assert ("records", "velib-old") in read_holds(desk.lake)


def test_a_renamed_dataset_is_followed_where_a_pattern_has_its_new_name(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("velib-now", "velib-today")
    outcomes = desk.sync(selection=typed("velib-*"))
    assert outcomes["velib-today"].action == "described anew"
    assert desk.exported == []


def test_layers_are_chosen_among_the_chosen_datasets(desk: Desk) -> None:
    desk.emulator.publish("villages", fields=TOWN_FIELDS, records=TOWNS)
    layers = Selection(("v*",))
    outcomes = desk.sync(features=True, layers=layers, selection=typed("towns", "villages"))
    assert set(outcomes) == {"towns", "villages", "villages (features)"}


def test_holds_of_datasets_that_were_not_chosen_stay(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("velib-old")
    desk.sync()
    desk.sync(selection=typed("roads"))
    assert ("records", "velib-old") in read_holds(desk.lake)


NAMES = st.text("abc-_.1", min_size=1, max_size=6)


@given(available=st.sets(NAMES), include=st.lists(NAMES), exclude=st.lists(NAMES))
def test_names_choose_exactly_themselves(
    available: set[str], include: list[str], exclude: list[str]
) -> None:
    selection = Selection(tuple(include), tuple(exclude))
    names = selection.names(available, None)
    assert names == (set(include) if include else available) - set(exclude)
    assert EVERYTHING.names(available, None) == available


def run(desk: Desk, *arguments: str) -> Result:
    where = ["--portal", desk.emulator.url, "--data-dir", str(desk.folder)]
    return CliRunner().invoke(cli, [*where, *arguments])


def test_the_command_line_takes_patterns_filters_rows_and_fields(desk: Desk) -> None:
    plan = run(desk, "plan", "velib-*", "--exclude", "*-old")
    assert "velib-now" in plan.output
    assert "velib-old" not in plan.output
    choice = ("--where", "publisher = 'City'", "--rows", "n = 1", "--select", "n")
    synced = run(desk, "sync", *choice)
    assert synced.exit_code == 0, synced.output
    assert [desk.loaded(name) for name in BIKES] == [1, 1, 1]
    assert "3 unchanged" in run(desk, "sync", *choice).output
    other = run(desk, "plan", "velib-now")
    assert "filter" in other.output
    assert run(desk, "sync", "nothing-*").exit_code == 1
