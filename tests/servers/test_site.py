"""The documentation site in a real browser, wide and narrow."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from tests import site
from tests.servers.pages import chromium

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
WIDE, NARROW = 1280, 360


class Quiet(SimpleHTTPRequestHandler):
    """A web server that tells nobody."""

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = site.build(tmp_path_factory.mktemp("docs"))
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def pages() -> list[str]:
    stems = sorted(path.stem for path in (Path(site.ROOT) / "docs").glob("*.md"))
    return ["", *(f"{stem}/" for stem in stems)]


def resized(browser: webdriver.Chrome, width: int) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == NARROW}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_page_fits_its_window_and_loads_without_an_error(
    browser: webdriver.Chrome, address: str, width: int
) -> None:
    resized(browser, width)
    for page in pages():
        browser.get(f"{address}/{page}")
        assert browser.find_element("css selector", "h1").is_displayed()
        beyond = "const r = document.documentElement; return r.scrollWidth - r.clientWidth"
        assert browser.execute_script(beyond) == 0, page
        assert browser.execute_script(
            "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
        ), page
    assert [said for said in browser.get_log("browser") if said["level"] == "SEVERE"] == []


def test_a_word_is_found_by_the_search(browser: webdriver.Chrome, address: str) -> None:
    resized(browser, WIDE)
    browser.get(f"{address}/start/")
    browser.find_element("css selector", ".md-search__input").send_keys("withdrawn")
    results = WebDriverWait(browser, 60).until(
        lambda shown: shown.find_elements("css selector", ".md-search-result__link")
    )
    assert any("/trust/" in str(result.get_attribute("href")) for result in results)


def test_commands_are_copied_without_their_prompt(browser: webdriver.Chrome, address: str) -> None:
    resized(browser, WIDE)
    browser.get(address)
    copied = browser.execute_script(
        "const shown = [...document.querySelectorAll('.highlight code')];"
        "const code = shown.find(block => block.innerText.includes('make demo'));"
        "code.setAttribute('data-md-copying', ''); return code.innerText"
    )
    assert copied.strip() == "make demo"
