"""What a person reads on a terminal of 80 columns and on one of 120.

The screens are kept in `tests/fixtures/terminal`; `ODS_SCREENS=1` writes them
again, to be looked at.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests.cli.screen import glimpsed, plain, shown

SCREENS = Path(__file__).parents[1] / "fixtures" / "terminal"
WIDTHS = [80, 120]
LIVE = "velib-disponibilite-en-temps-reel"


class Town:
    """A portal with datasets that fail and that are held, and somebody's folder."""

    def __init__(self, portal: Emulator, folder: Path) -> None:
        self.portal, self.folder = portal, folder
        self.settings = {"ODS_PORTAL": portal.url}

    def types(self, width: int, *words: str) -> tuple[int, str]:
        status, text = glimpsed(self.folder, self.settings, width, *words)
        return status, plain(text)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Emulator() as portal:
        found = Town(portal, tmp_path_factory.mktemp("town"))
        # Remembered, where a count that does not match is looked at again and again.
        portal.claim("public-art", "neighbourhood", type="int")
        assert found.types(120, "sync", "--features")[0] == 1
        # Beyond every day on which this runs: the clock of the portal does not go back.
        portal.state.clock.tick("2099-11-30T12:00:00+00:00")
        portal.publish(LIVE, records=[])
        # What is refused and what is held is remembered, so that each screen is the same again.
        assert found.types(120, "sync")[0] == 1
        yield found


@pytest.mark.parametrize(
    ("name", "words", "status"),
    [
        ("plan", ["plan"], 0),
        ("plan-new", ["plan", "--data-dir", "new"], 0),
        ("catalog", ["catalog"], 0),
        ("doctor", ["doctor"], 0),
        ("sync", ["sync", "--features", "--data-dir"], 1),
        ("sync-again", ["sync"], 1),
        ("sync-quiet", ["sync", "--quiet"], 1),
        ("verify", ["verify"], 0),
        ("show", ["show"], 0),
        ("show-dataset", ["show", "weather-stations"], 0),
        ("show-layer", ["show", "ukpn-live-faults", "--features", "--rows", "1"], 0),
        ("show-held", ["show", LIVE, "--rows", "0"], 0),
    ],
)
def test_a_screen_is_as_it_was_looked_at(
    town: Town, name: str, words: list[str], status: int
) -> None:
    for width in WIDTHS:
        # What lands is another folder's, or the second screen would be about no news.
        folder = [f"all{width}"] if words[-1] == "--data-dir" else []
        found, text = town.types(width, *words, *folder)
        assert found == status, text
        text = text.replace(f"all{width}", "all")
        file = SCREENS / f"{name}.{width}.txt"
        if os.environ.get("ODS_SCREENS"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_ctrl_c_clears_the_bar_and_says_that_what_is_landed_is_whole(
    tmp_path: Path, width: int
) -> None:
    pressed = []

    def press(person: int, text: str) -> None:
        if "fetching" in text and not pressed:
            pressed.append(os.write(person, b"\x03"))

    with Emulator() as portal:
        portal.fail("/exports/", Fault.slow(2_000), None)
        settings = {"ODS_PORTAL": portal.url}
        status, text = shown(tmp_path, settings, width, "sync", then=press)
    assert status == 130
    told = plain(text.rpartition("^C")[2]).split("\n")
    assert told[-2] == ("ods-pipeline: interrupted; what is landed is whole, run again to go on")
    assert not any("fetching" in line for line in told)


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {}])
def test_colours_are_for_terminals_that_want_them(town: Town, settings: dict[str, str]) -> None:
    _, text = glimpsed(town.folder, {**town.settings, **settings}, 80, "sync")
    assert ("\x1b[31m" in text) == (not settings)
    _, text = glimpsed(town.folder, town.settings, 80, "--color", "never", "sync")
    assert "\x1b[31m" not in text
    assert "\x1b[1m" not in text
    _, text = glimpsed(
        town.folder, {**town.settings, "NO_COLOR": "1"}, 80, "sync", "--color=always"
    )
    assert "\x1b[31m" in text
