"""A portal with private parts, and those who ask it: a person in a browser, an application."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from ods_pipeline.emulator import AccessQuirks, Emulator, Quirks
from tests.emulator.asking import API, EMPTY, EVERY_TYPE, FULL

CALLBACK = "http://127.0.0.1:8799/callback"
SECRETS = {"client_id": "harvester", "client_secret": "harvester-secret"}
CATALOG = "/catalog/datasets"


def guarded(**quirks: Any) -> Emulator:
    """An emulator with a public, a hidden and a restricted dataset, and those who may see them."""
    portal = Emulator(sample=False, quirks=Quirks(access=AccessQuirks(**quirks)))
    for name in ("open-one", "staff-one", "half-one"):
        metas = {"title": f"Title of {name}", "theme": [f"Theme of {name}"]}
        portal.publish(name, fields=EVERY_TYPE, records=[FULL, EMPTY], metas=metas)
    portal.hide("staff-one")
    portal.restrict("half-one")
    portal.add_user("ada", "ada's password", ["staff-*", "half-*"])
    portal.add_user("bob", "bob's password", [])
    portal.add_key("ada-key", "ada")
    portal.add_key("bob-key", "bob")
    portal.add_application(**SECRETS, redirect_uri=CALLBACK)
    portal.add_application("kiosk", "kiosk-secret", CALLBACK, public=True)
    return portal


def get(portal: Emulator, path: str, key: str = "", token: str = "", **params: Any) -> Any:
    """GET a path of the API as someone."""
    headers = {"Authorization": f"Apikey {key}"} if key else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(portal.url + API + path, params=params, headers=headers, timeout=60)


def seen(portal: Emulator, **who: str) -> list[str]:
    """The datasets in the catalog of someone."""
    return sorted(d["dataset_id"] for d in get(portal, CATALOG, **who).json()["results"])


def token(portal: Emulator, **fields: str) -> requests.Response:
    """POST a form to the token endpoint."""
    return requests.post(portal.url + "/oauth2/token/", data=fields, timeout=60)


def refresh(portal: Emulator, refresh_token: str, **more: str) -> requests.Response:
    """Ask for a renewal as the harvester."""
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return token(portal, **{**asked, **SECRETS, **more})


def exchange(portal: Emulator, code: str, **more: str) -> requests.Response:
    """Ask for the tokens of a code as the harvester."""
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    return token(portal, **{**asked, **SECRETS, **more})


class Browser:
    """A person's browser, as far as a login and a consent need one."""

    def __init__(self, portal: Emulator):
        self.portal = portal
        self.session = requests.Session()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def log_in(self, name: str, password: str, after: str = "/") -> requests.Response:
        """Send the login form; the reply is not followed."""
        fields = {"username": name, "password": password, "next": after}
        return self.session.post(
            f"{self.portal.url}/login/", data=fields, allow_redirects=False, timeout=60
        )

    def asked(self, **params: str) -> str:
        """The address of a consent page."""
        asked = {"client_id": "harvester", "redirect_uri": CALLBACK, "response_type": "code"}
        asked |= {"scope": "all", "state": "a state"}
        wanted = {name: value for name, value in (asked | params).items() if value}
        return f"{self.portal.url}/oauth2/authorize/?{urlencode(wanted)}"

    def open(self, address: str) -> requests.Response:
        """Look at a page; redirects are not followed."""
        return self.session.get(address, allow_redirects=False, timeout=60)

    def decide(self, decision: str, **params: str) -> dict[str, str]:
        """Press a button of the consent page; what the application is told."""
        address = self.asked(**params)
        page = self.open(address).text
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert csrf, page
        fields = {"csrfmiddlewaretoken": csrf[1], "decision": decision}
        reply = self.session.post(address, data=fields, allow_redirects=False, timeout=60)
        assert reply.status_code == 302
        assert reply.headers["location"].startswith(CALLBACK + "?")
        return dict(parse_qsl(urlsplit(reply.headers["location"]).query))
