"""What token endpoints answer, in every shape that was seen or feared: tokens, or one sentence."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    LoginNeeded,
    PortalError,
    PortalFailure,
    QuotaExhausted,
)
from ods_pipeline.portal.auth import endpoint as token_endpoint
from ods_pipeline.portal.auth.endpoint import Application, NotSent, refresh
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.renewal import granted
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client

APPLICATION = Application("app", "app-secret")
SPENT = "refresh-token-that-is-spent"
# As documented, key by key.
DOCUMENTED = {
    "access_token": "9kxoTUYvSxnAiMpv008NBqRiqk5xWt",
    "expires_in": 3600,
    "token_type": "Bearer",
    "state": "ilovedata",
    "scope": "all",
    "refresh_token": "jFfDUcsK9zzNMs1zwczzJxGrimPtmf",
}
BEFORE = Grant("https://portal.test", "app", "old", SPENT, 1_000)


@contextmanager
def endpoint(
    status: int, body: bytes, kind: str = "application/json", location: str | None = None
) -> Iterator[Address]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Address.parse(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def told(**changes: Any) -> bytes:
    reply = {key: value for key, value in {**DOCUMENTED, **changes}.items() if value is not None}
    return json.dumps(reply).encode()


@pytest.mark.parametrize(
    ("changes", "lifetime"),
    [
        ({}, 3600),
        ({"expires_in": "3600"}, 3600),
        ({"expires_in": 59.5}, 59.5),
        ({"expires_in": None}, 3600),
        ({"expires_in": 0}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": "soon"}, 3600),
        ({"expires_in": []}, 3600),
        ({"expires_in": 10**12}, 3600),
        ({"scope": 5}, 3600),
        ({"scope": ["all", "more"]}, 3600),
        ({"token_type": "Bearer "}, 3600),
        ({"token_type": "bearer"}, 3600),
        ({"token_type": None}, 3600),
        ({"scope": "all everything"}, 3600),
        ({"scope": ""}, 3600),
        ({"scope": None}, 3600),
        ({"state": None}, 3600),
    ],
)
def test_tokens_are_read_whatever_stands_beside_them(
    changes: dict[str, Any], lifetime: float
) -> None:
    with endpoint(200, told(**changes)) as address:
        grant = granted(refresh(address, APPLICATION, SPENT), BEFORE, 2_000)
    assert grant.access_token == DOCUMENTED["access_token"]
    assert grant.refresh_token == DOCUMENTED["refresh_token"]
    assert grant.expires_at == 2_000 + lifetime


def test_a_reply_without_a_refresh_token_leaves_the_old_one_good() -> None:
    with endpoint(200, told(refresh_token=None)) as address:
        assert granted(refresh(address, APPLICATION, SPENT), BEFORE, 2_000).refresh_token == SPENT


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (400, b'{"error": "invalid_grant"}', LoginNeeded, "no more .invalid_grant"),
        (401, b'{"error": "invalid_grant"}', LoginNeeded, "no more"),
        (200, b'{"error": "invalid_grant"}', LoginNeeded, "no more"),
        (401, b'{"error": "invalid_client"}', AccessDenied, "ODS_CLIENT_ID and ODS_CLIENT_SECRET"),
        (400, b'{"error": "unauthorized_client"}', AccessDenied, "does not take the application"),
        (400, b'{"error":"invalid_request","error_description":"No."}', AccessDenied, "st: No\\)"),
        (400, b'{"error": "invalid_scope"}', AccessDenied, "refuses the request"),
        (503, b'{"error": "temporarily_unavailable"}', PortalFailure, "try later"),
        (400, b'{"error": "server_error"}', PortalFailure, "gave no tokens .server_error"),
        (500, b"<html>", PortalFailure, "status 500"),
        (500, told(), PortalFailure, "status 500"),
        (405, b"", AccessDenied, "no token endpoint there .status 405"),
        (404, b"<html>", AccessDenied, "status 404"),
        (429, b"", QuotaExhausted, "request quota of .* is spent"),
        (429, b'{"error": "Too many requests on the domain."}', QuotaExhausted, "is spent"),
        (403, b'{"message": "Not here."}', AccessDenied, "status 403: Not here"),
        (200, b"", PortalFailure, "gave no tokens"),
        (200, b"<html>Log in</html>", PortalFailure, "gave no tokens"),
        (200, b"[]", PortalFailure, "gave no tokens"),
        (200, b"[" * 60_000, PortalFailure, "gave no tokens"),
        (200, b'"text"', PortalFailure, "gave no tokens"),
        (200, b"{}", PortalFailure, "gave no tokens"),
        (200, told(access_token=""), PortalFailure, "gave no tokens"),
        (200, told(refresh_token=[]), PortalFailure, "gave no tokens"),
        (200, told(access_token="\ud800"), PortalFailure, "gave no tokens"),
        (200, told(refresh_token="\ud800"), PortalFailure, "gave no tokens"),
        (200, told(access_token="two\nlines"), PortalFailure, "gave no tokens"),
        (200, told(token_type="mac"), PortalFailure, "gave no tokens"),
        (200, b'{"access_token": "9kxoTUYvSx', PortalFailure, "gave no tokens"),
    ],
)
def test_what_is_no_token_reply_is_told_by_its_text_and_not_its_status(
    status: int, body: bytes, error: type[PortalError], says: str
) -> None:
    with endpoint(status, body) as address, pytest.raises(error, match=says) as raised:
        refresh(address, APPLICATION, SPENT)
    assert type(raised.value) is error
    assert "app-secret" not in f"{raised.value!r} {raised.value.url}"


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://no.invalid"]
)
def test_what_never_left_is_told_from_what_was_lost(base: str) -> None:
    with pytest.raises(NotSent, match=r"cannot be reached|there is no host"):
        refresh(Address.parse(base), APPLICATION, SPENT)


def test_tokens_are_taken_however_oddly_they_are_written() -> None:
    body = b"\xef\xbb\xbf" + told(access_token=123456789, refresh_token=987654321)
    with endpoint(200, body) as address:
        grant = granted(refresh(address, APPLICATION, SPENT), BEFORE, 2_000)
    assert (grant.access_token, grant.refresh_token) == ("123456789", "987654321")


def test_an_answer_without_end_is_given_up() -> None:
    lost = pytest.raises(PortalFailure, match="answer about the login was lost")
    with endpoint(200, told()[:-1] + b" " * (1 << 17)) as address, lost:
        refresh(address, APPLICATION, SPENT)


def test_an_answer_that_is_whole_is_taken_however_much_comes_after_it() -> None:
    with endpoint(200, told() + b" " * (1 << 17)) as address:
        assert refresh(address, APPLICATION, SPENT)["access_token"] == DOCUMENTED["access_token"]


def test_a_slow_answer_is_given_up_only_where_it_is_not_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_endpoint, "_LONGEST", -1)
    with endpoint(200, told()[:-1]) as address, pytest.raises(PortalFailure, match="was lost"):
        refresh(address, APPLICATION, SPENT)


@pytest.mark.parametrize("charset", ["idna", "undefined", "no-such-thing"])
def test_tokens_are_taken_whatever_charset_a_server_names(charset: str) -> None:
    with endpoint(200, told(), f"application/json; charset={charset}") as address:
        assert refresh(address, APPLICATION, SPENT)["access_token"] == DOCUMENTED["access_token"]


def test_a_bundle_of_certificates_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    for portal in ("https://portal.test", "https://127.0.0.1:9"):
        with pytest.raises(NotSent, match="check REQUESTS_CA_BUNDLE"):
            refresh(Address.parse(portal), APPLICATION, SPENT)
        with pytest.raises(ConfigurationError, match="check REQUESTS_CA_BUNDLE"):
            Client(portal).json("/catalog/datasets")


@pytest.mark.parametrize("location", ["http://[bad", "https://evil.test/oauth2/token/", "/x", ""])
def test_a_token_endpoint_that_leads_elsewhere_gets_nothing_more(location: str) -> None:
    refused = pytest.raises(AccessDenied, match=r"passes requests on to .*no secret is sent")
    with endpoint(307, b"", location=location) as address, refused:
        refresh(address, APPLICATION, SPENT)


def test_a_failure_of_tls_that_may_have_come_amid_the_answer_counts_as_lost() -> None:
    with endpoint(200, told()) as address:
        portal = Address.parse(address.base.replace("http:", "https:"))
        with pytest.raises(PortalFailure, match=r"the encrypted connection to .* failed"):
            refresh(portal, APPLICATION, SPENT)


def test_a_refused_request_leaves_no_secret_in_the_chain_of_errors() -> None:
    for base in ("http://127.0.0.1:1", "https://no.invalid"):
        with pytest.raises(NotSent) as failed:
            refresh(Address.parse(base), APPLICATION, SPENT)
        error: BaseException | None = failed.value
        while error is not None:
            assert SPENT not in f"{error!r} {vars(error)}"
            error = error.__cause__ or error.__context__
