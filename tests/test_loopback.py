"""Where the browser comes back to after a consent: on this machine, or out of hearing."""

import pytest

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.loopback import Door, door


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("http://127.0.0.1:8766/callback", Door("127.0.0.1", 8766, "/callback")),
        ("http://localhost/x?y=1", Door("localhost", 80, "/x")),
        ("http://[::1]:9", Door("::1", 9, "/")),
        ("https://127.0.0.1:8766/callback", None),
        ("http://server.test:8766/callback", None),
        ("my-app://callback", None),
    ],
)
def test_a_redirection_is_heard_on_this_machine_alone(
    redirect_uri: str, expected: Door | None
) -> None:
    assert door(redirect_uri) == expected


@pytest.mark.parametrize("redirect_uri", ["", "callback", "http://127.0.0.1:0/", "http://[x"])
def test_a_redirection_that_is_no_url_is_refused(redirect_uri: str) -> None:
    with pytest.raises(ConfigurationError, match="is no redirection URL"):
        door(redirect_uri)
