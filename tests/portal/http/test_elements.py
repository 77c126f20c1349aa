"""JSON documents read as they arrive: whatever the pieces are, what they say is the same."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.portal.http import elements

REFUSED = "breaks off|goes on|Expecting|decode|Unterminated|delimiter"

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def read(body: bytes, size: int = 1) -> Any:
    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(body), size):
            yield body[begin : begin + size]

    return elements.read(pieces(), lambda number, element: (number, element))


def numbered(values: list[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(values, 1))


@given(st.lists(_values), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_an_array_has_its_elements_however_it_is_cut_into_pieces(
    values: list[Any], size: int, plain: bool, indent: int | None
) -> None:
    body = json.dumps(values, ensure_ascii=plain, indent=indent).encode("utf-8", "surrogatepass")
    # Halves of characters become question marks where they are written as escapes.
    assert read(body, size) == numbered(_whole(values) if plain else values)


def _whole(values: list[Any]) -> Any:
    return json.loads(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))


@given(_values.filter(lambda value: not isinstance(value, list)), st.integers(1, 40))
def test_what_is_no_array_is_read_whole(value: Any, size: int) -> None:
    assert read(json.dumps(value).encode(), size) == _whole([value])[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_encoding_of_json_is_read(encoding: str, size: int) -> None:
    values = [{"é": "日本 🚲"}, 12, "x"]
    assert read(json.dumps(values, ensure_ascii=False).encode(encoding), size) == numbered(values)


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\uD83D"])
def test_half_a_character_becomes_a_question_mark(half: bytes) -> None:
    assert read(b'["a' + half + b'", "b"]') == numbered(["a?", "b"])


@pytest.mark.parametrize("size", [1, 1000])
def test_an_array_that_is_cut_anywhere_is_refused(size: int) -> None:
    body = json.dumps([{"a": [1, "]"]}, 25, "x", True, []]).encode()
    assert read(body, size)
    for length in range(len(body)):
        with pytest.raises(ValueError, match=REFUSED):
            read(body[:length], size)


@pytest.mark.parametrize(
    "body",
    [b"[1]]", b"[1] 2", b"[1,]", b"[,1]", b"[1 2]", b"[1;2]", b"[1x]", b'["\xff"]', b"[", b""],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_json_is_refused(body: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        read(body, size)


def test_an_element_is_handed_over_before_the_next_has_come() -> None:
    seen: list[Any] = []

    def pieces() -> Iterator[bytes]:
        yield b'[{"a": 1}, {"b'
        assert seen == [{"a": 1}]
        yield b'": 2}]'

    elements.read(pieces(), lambda number, element: seen.append(element))
    assert seen == [{"a": 1}, {"b": 2}]
