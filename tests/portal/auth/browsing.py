"""A person at a browser, without the browser: follows the portal's own pages and forms."""

import re
from html import unescape

import requests

_HIDDEN = re.compile(r'type="hidden" name="([^"]*)" value="([^"]*)"')


def consented(url: str, user: str, password: str, decision: str = "allow") -> str:
    """Log in, decide on the consent page, and give the address that the portal leads to."""
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(url, timeout=60)
        if "/login/" in page.url:
            form = {**_hidden(page), "username": user, "password": password}
            page = browser.post(page.url, form, timeout=60)
        form = {**_hidden(page), "decision": decision}
        answer = browser.post(page.url, form, allow_redirects=False, timeout=60)
        return answer.headers["Location"]


def _hidden(page: requests.Response) -> dict[str, str]:
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(page.text)}
