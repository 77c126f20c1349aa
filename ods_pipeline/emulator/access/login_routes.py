"""The addresses that people and applications come in by; the API itself is elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from ods_pipeline.emulator.access import html_pages
from ods_pipeline.emulator.access.browser_sessions import Sessions, target
from ods_pipeline.emulator.access.oauth2_endpoints import AUTHORIZE, TOKEN, Endpoints
from ods_pipeline.emulator.access.quirks import AccessQuirks
from ods_pipeline.emulator.http.errors import unknown_uri
from ods_pipeline.emulator.http.reply import Reply
from ods_pipeline.emulator.http.request import Request


def leads_in(path: str) -> bool:
    """Whether a path is one of these, rather than the API's."""
    return path.startswith("/oauth2/") or path.rstrip("/") == html_pages.LOGIN.rstrip("/")


class Doors:
    """Login, consent and tokens."""

    def __init__(self, sessions: Sessions, endpoints: Endpoints, quirks: AccessQuirks):
        """Lead to these."""
        self._slash = quirks.slash
        self._behind: dict[str, Callable[[Request], Reply]] = {
            html_pages.LOGIN: sessions.login,
            AUTHORIZE: lambda request: endpoints.authorize(request, sessions.of(request)),
            TOKEN: endpoints.token,
        }

    def reply(self, request: Request) -> Reply:
        """What is behind a path, or the way there where the trailing slash is missing."""
        if request.path in self._behind:
            return self._behind[request.path](request)
        whole = request.path + "/"
        if whole not in self._behind or self._slash == "404":
            raise unknown_uri()
        return html_pages.redirect(target(request).replace(request.path, whole, 1), status=301)
