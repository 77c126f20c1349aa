"""K14: texts of a portal in Dagster's pages are texts: they link, load and format nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.dagster.markdown import bullets, literal, prose

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


@pytest.mark.parametrize("text", ATTACKS)
def test_k14_a_description_that_is_text_is_as_harmless_as_a_title(text: str) -> None:
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|~&@]", prose(text))
    assert "://" not in prose(text).replace("\\://", "")


def test_k14_a_description_in_html_is_shown_as_paragraphs_and_lists_without_markup() -> None:
    page = (
        '<div><h2>Trees\u200b</h2><p onclick="x()">All <b>street</b> trees, &lt;2026&gt;.</p>'
        '<script>alert(1)</script><ul><li><a href="http://evil.test">one</a><li><p>two</p></ul>'
        "# no heading<br>1. no list</div>"
    )
    assert prose(page).split("\n\n") == [
        "Trees",
        r"All street trees, \<2026\>.",
        "- one\n- two",
        r"\# no heading",
        r"1\. no list",
    ]


def test_a_description_keeps_its_paragraphs_and_ends_where_nobody_reads_on() -> None:
    assert prose("One\nline.\n\nAnother.") == "One line.\n\nAnother."
    assert prose("") == prose("<p> </p>") == ""
    long = prose("<p>" + "word " * 100_000)
    assert len(long) < 1_600
    assert long.endswith("…")


@given(st.text())
def test_k14_any_description_can_be_shown(text: str) -> None:
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|~&@]", prose(text))
