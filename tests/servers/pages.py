"""Dagster's pages in Chromium, read as a person would: by the texts on them."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service

from tests.servers.project import NAME

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1300",
)
# The pages refresh themselves; one that was opened too early may not. The next reload waits longer:
# on a busy machine a page takes many seconds to fill, and would be thrown away each time.
_RELOAD = 10
# Nothing here takes this long but on a machine with much else to do.
_PATIENCE = 600
# Dagster takes 15 seconds to start, on a busy machine many times that.
_START = 900


class Pages:
    """The UI of one Dagster in one browser window."""

    def __init__(self, driver: webdriver.Chrome, url: str):
        """Nothing is opened yet."""
        self.driver, self.url = driver, url

    def open(self, path: str) -> None:
        """Go to a page, as soon as there is a server."""
        self._retried(lambda: self.driver.get(self.url + path), _START)

    def graph(self) -> None:
        """Open the lineage of all assets."""
        self.open("/asset-groups")

    def asset(self, name: str, view: str = "overview", **more: str) -> None:
        """Open one of an asset's tabs."""
        query = "&".join(f"{key}={text}" for key, text in {"view": view, **more}.items())
        self.open(f"/assets/{NAME}/{name}?{query}")

    def search(self, text: str) -> None:
        """Type something into Dagster's own search, from wherever one is."""
        self.click("Search")
        self.driver.switch_to.active_element.send_keys(text)

    def click(self, text: str, seconds: float = _PATIENCE) -> None:
        """Click the first thing that says just this, as soon as it is there and can be clicked."""
        path = f"//*[text()='{text}']"
        self._retried(lambda: self.driver.find_element("xpath", path).click(), seconds)

    def partition(self, asset: str, dataset_id: str) -> None:
        """Open a partition's page."""
        self.asset(asset, "partitions", partition=dataset_id)

    def run_of(self, asset: str, dataset_id: str) -> str:
        """The run that a partition was materialized by, as its page names it."""
        self.partition(asset, dataset_id)
        return self.wait(r"\bRun\n([0-9a-f]{8})\b.*\bJob\b").group(1)

    @property
    def text(self) -> str:
        """What the page says at this moment."""
        try:
            return self.driver.find_element("tag name", "body").text
        except StaleElementReferenceException:
            return ""

    def wait(self, pattern: str, seconds: float = _PATIENCE) -> re.Match[str]:
        """Wait until the page says something, with the pattern's dot matching newlines too.

        Raises:
            AssertionError: It does not in time; what it says is told.
        """
        end = time.monotonic() + seconds
        pause, reload = _RELOAD, time.monotonic() + _RELOAD
        while not (found := re.search(pattern, self.text, re.DOTALL)):
            if time.monotonic() > end:
                raise AssertionError(
                    f"{self.driver.current_url} never said {pattern!r}: {self.text}"
                )
            if time.monotonic() > reload:
                self.driver.refresh()
                pause *= 2
                reload = time.monotonic() + pause
            time.sleep(0.3)
        return found

    def says(self, *patterns: str, seconds: float = _PATIENCE) -> None:
        """Wait until the page says each of several things."""
        for pattern in patterns:
            self.wait(pattern, seconds)

    def box(self, asset: str, *texts: str, seconds: float = _PATIENCE) -> None:
        """Wait until an asset's box in the graph says each of several things."""
        for text in texts:
            self.wait(rf"\n{asset}\nLatest event\n(?:(?!Latest event).)*{text}", seconds)

    def picture(self, name: str, seconds: float = _PATIENCE) -> tuple[int, int]:
        """Click long Markdown open, and wait until a picture in it is drawn: its width and height.

        Raises:
            AssertionError: It is not in time.
        """
        self.click("[Show Markdown]", seconds)
        script = "const i = document.querySelector(`img[alt='${arguments[0]}']`);"
        size = "return i && i.complete ? [i.naturalWidth, i.naturalHeight] : null"
        end = time.monotonic() + seconds
        while not (drawn := self.driver.execute_script(script + size, name)):
            assert time.monotonic() < end, f"{self.driver.current_url} shows no picture {name!r}"
            time.sleep(0.3)
        return int(drawn[0]), int(drawn[1])

    def _retried(self, step: Callable[[], None], seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                return step()
            except WebDriverException:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A Chromium without a window, with a profile of its own."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = found("chromium")
    driver = webdriver.Chrome(options=options, service=Service(found("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def found(program: str) -> str:
    """Where a program is; named here, so that selenium downloads none."""
    path = shutil.which(program)
    assert path, f"the browser tests need {program}: `make test-servers` installs it"
    return path
