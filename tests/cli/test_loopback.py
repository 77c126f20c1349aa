"""Where the browser comes back to after a consent: on this machine, or out of hearing."""

import pytest

from ods_pipeline.cli.loopback import ListenAddress, Page, listen_address, listening
from ods_pipeline.errors import ConfigurationError
from tests.person import visited
from tests.ports import free_port


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("http://127.0.0.1:8766/callback", ListenAddress("127.0.0.1", 8766, "/callback")),
        ("http://localhost/x?y=1", ListenAddress("localhost", 80, "/x")),
        ("http://[::1]:9", ListenAddress("::1", 9, "/")),
        ("https://127.0.0.1:8766/callback", None),
        ("http://server.test:8766/callback", None),
        ("http://127.0.0.1:1/@home", ListenAddress("127.0.0.1", 1, "/@home")),
    ],
)
def test_a_redirection_is_heard_on_this_machine_alone(
    redirect_uri: str, expected: ListenAddress | None
) -> None:
    assert listen_address(redirect_uri) == expected


@pytest.mark.parametrize("path", ["/réponse", "/r%c3%a9ponse", "/a b", "/%7Eme", "/~me"])
def test_the_browser_is_heard_however_the_path_is_written(path: str) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    at = listen_address(f"{base}{path}?y=1")
    assert at
    heard: list[str] = []
    with listening(at, lambda _: Page(200, "Heard", "Heard"), lambda: heard.append(path)):
        assert visited(f"{base}{path}?code=x").status_code == 200
        assert visited(f"{base}/elsewhere?code=x").status_code == 404
    assert heard == [path]


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "callback",
        "//127.0.0.1/callback",
        "http:///callback",
        "http://:80/callback",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:x/",
        "http://[x",
        "http://127.0.0.1:8766/callback#here",
        "http://127.0.0.1:8766/callback#",
        "my-app://callback",
        "ftp://127.0.0.1/callback",
        "http://me@127.0.0.1:8766/callback",
    ],
)
def test_a_redirection_that_is_no_url_is_refused(redirect_uri: str) -> None:
    with pytest.raises(ConfigurationError, match="is no redirection URL"):
        listen_address(redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri",
    ["http://me:hush@127.0.0.1/x", "http://me:hu/sh@127.0.0.1/x", "me:hush@127.0.0.1/x"],
)
def test_a_password_in_a_redirection_is_not_repeated(redirect_uri: str) -> None:
    with pytest.raises(ConfigurationError, match="is no redirection URL") as refused:
        listen_address(redirect_uri)
    assert "hu" not in str(refused.value)
