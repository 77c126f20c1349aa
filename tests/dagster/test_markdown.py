"""K14: texts of a portal in Dagster's pages are texts: they link, load and format nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.dagster.markdown import bullets, literal

ATTACKS = [
    "![x](http://evil.test/p.png)",
    "[click](javascript:alert(1))",
    "<img src=http://evil.test/p.png>",
    "http://evil.test",
    "www.evil.test",
    "me@evil.test",
    "`code` *bold* __bold__ ~~gone~~",
    "a | b",
    "&lt;script&gt;",
    "[x]: http://evil.test",
    "<http://evil.test>",
    "\\[x](y)",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_k14_no_sign_of_markdown_is_left_bare(text: str) -> None:
    shown = literal(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|~&@]", shown)
    assert "://" not in shown.replace("\\://", "")
    assert "www." not in shown
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown) == text


@given(st.text())
def test_k14_any_text_stays_on_its_line(text: str) -> None:
    assert "\n" not in literal(text)


def test_k14_lists_of_names_and_sentences_are_lists_whatever_these_are() -> None:
    told = str(bullets({"a_b": "see [x](http://evil.test)\n- **c**"}).value)
    assert told == r"- **a\_b** see \[x\](http\://evil.test) - \*\*c\*\*"
    assert bullets({}).value == "none"
