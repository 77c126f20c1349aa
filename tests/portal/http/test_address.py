"""What people type for a portal, and what it is called on disk."""

import pytest

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address


@pytest.mark.parametrize(
    ("typed", "base", "slug"),
    [
        ("data.economie.gouv.fr", "https://data.economie.gouv.fr", "data.economie.gouv.fr"),
        (" HTTP://127.0.0.1:8765/ ", "http://127.0.0.1:8765", "127.0.0.1_8765"),
        ("https://a.test/explore/dataset/x?y=1", "https://a.test", "a.test"),
        ("user:secret@a.test:443", "https://a.test:443", "a.test_443"),
        ("http://[::1]:80", "http://[::1]:80", "__1_80"),
    ],
)
def test_an_address_is_read_as_people_type_it(typed: str, base: str, slug: str) -> None:
    assert Address.parse(typed) == Address(base, slug)


@pytest.mark.parametrize(
    "typed", ["", "ftp://a.test", "http://", "a b", "..", "http://a.test:99999", "/etc"]
)
def test_what_is_no_address_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.economie\.gouv\.fr"):
        Address.parse(typed)
