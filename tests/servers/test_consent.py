"""The consent as a person gives it: in Chromium, which `ods-pipeline login` has opened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ods_pipeline.emulator import Emulator
from tests.person import Waiting, waiting
from tests.ports import free_port
from tests.servers.pages import chromium

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def redirect_uri() -> str:
    return f"http://127.0.0.1:{free_port()}/callback"


@pytest.fixture
def portal(redirect_uri: str, browser: webdriver.Chrome) -> Iterator[Emulator]:
    with Emulator(sample=False) as serving:
        serving.add_user("ada", "ada")
        serving.add_application("app", "the-secret", redirect_uri)
        yield serving
        # Sessions do not know ports: the next portal would get this one's cookie.
        browser.delete_all_cookies()


@pytest.fixture
def login(portal: Emulator, redirect_uri: str, tmp_path: Path) -> Iterator[Waiting]:
    """The command, with a program for a browser that hands the address over to the real one."""
    program = tmp_path / "browser"
    handed = tmp_path / "handed"
    program.write_text(f'#!/bin/sh\necho "$1" > "{handed}.new" && mv "{handed}.new" "{handed}"\n')
    program.chmod(0o755)
    settings = {
        "ODS_PORTAL": portal.url,
        "ODS_CLIENT_ID": "app",
        "ODS_CLIENT_SECRET": "the-secret",
        "BROWSER": str(program),
    }
    with waiting(tmp_path, "--redirect-uri", redirect_uri, **settings) as command:
        yield command


def opened(browser: webdriver.Chrome, folder: Path) -> None:
    """Open what the command handed over."""
    handed = folder / "handed"
    end = time.monotonic() + 120
    while not handed.exists():
        assert time.monotonic() < end, "the command opened no browser"
        time.sleep(0.05)
    browser.get(handed.read_text().strip())


def fill_in(browser: webdriver.Chrome, password: str) -> None:
    browser.find_element(By.ID, "id_username").clear()
    browser.find_element(By.ID, "id_username").send_keys("ada")
    browser.find_element(By.ID, "id_password").send_keys(password)
    browser.find_element(By.ID, "login").click()


def click(browser: webdriver.Chrome, button: str) -> str:
    """Answer the question, and give what the last page says."""
    WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.ID, button))
    browser.find_element(By.ID, button).click()
    told = WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.ID, "told"))
    return f"{browser.find_element(By.TAG_NAME, 'h1').text}\n{told[0].text}"


def test_a_person_logs_in_consents_and_reads_that_it_is_done(
    login: Waiting, browser: webdriver.Chrome, portal: Emulator, tmp_path: Path
) -> None:
    opened(browser, tmp_path)
    fill_in(browser, "not hers")
    assert "problem" in browser.page_source
    fill_in(browser, "ada")
    page = click(browser, "allow")
    status, told = login.ends()
    assert page.startswith(f"Logged in to {portal.url}\n")
    assert status == 0
    assert told.startswith(f"Logged in to {portal.url} as application app; the login is kept in ")
    assert len(list(tmp_path.glob("data/tokens/*.json"))) == 1


def test_a_person_who_denies_reads_that_no_login_was_made(
    login: Waiting, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    opened(browser, tmp_path)
    fill_in(browser, "ada")
    page = click(browser, "deny")
    assert page.startswith("Not logged in\nthe consent was denied; no login was made")
    assert login.ends() == (2, "")
    assert not list(tmp_path.glob("data/tokens/*.json"))


def test_a_person_who_closes_the_page_can_open_the_printed_address(
    login: Waiting, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    opened(browser, tmp_path)
    browser.get("about:blank")
    browser.get(login.consent_url)
    fill_in(browser, "ada")
    click(browser, "allow")
    assert login.ends()[0] == 0
