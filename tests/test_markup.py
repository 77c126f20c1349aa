"""Whatever a portal calls something, in HTML it is a text: no markup, formula or link."""

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ods_pipeline.dataset import Dataset
from ods_pipeline.markup import card, facts, plain, table
from ods_pipeline.portal.catalog.datasets import Datasets
from tests.pages import Read, read

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table><a href='https://evil.test'>",
    "$\\href{javascript:alert(1)}{x}$",
    "\\(\\href{javascript:alert(1)}{x}\\)",
    "![x](https://evil.test/x.png)",
    "a\x00b\x1b[2J\u202ec",
    "&lt;b&gt; &amp;",
    "\ud800",
]
TEXTS = st.one_of(st.sampled_from(EVIL), st.text(max_size=40))
ALLOWED = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "span"}


def holds_nothing_else(page: str) -> Read:
    """Read HTML, and refuse what is more than tables of texts."""
    found = read(page)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert all(set(attributes) <= {"class", "style"} for _, attributes in found.tags)
    assert {a["style"] for _, a in found.tags if "style" in a} <= {"text-align:left"}
    return found


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_texts_are_read_back_from_a_table_as_they_were_in_one_line(texts: list[str]) -> None:
    page = card(texts[0], facts({"name": texts[-1]}), table(texts, [texts]))
    found = holds_nothing_else(page)
    for text in texts:
        assert "".join(plain(text).split()) in "".join(found.text.split())


@given(TEXTS)
def test_no_text_begins_a_formula_in_a_notebook(text: str) -> None:
    page = card(text, table([text], [[text]]))
    assert 'class="tex2jax_ignore mathjax_ignore"' in page
    # A delimiter of formulas is alone in its element.
    assert not re.search(r"[$\\](?!</span>)", page)


METAS = st.dictionaries(
    st.sampled_from(["title", "publisher", "theme", "keyword", "language", "license", "x"]),
    st.one_of(st.none(), st.integers(), TEXTS, st.lists(st.one_of(st.none(), TEXTS), max_size=3)),
)
FIELD = st.fixed_dictionaries(
    {"name": st.just("a$b<i>"), "type": TEXTS, "label": TEXTS, "description": TEXTS}
)


@given(TEXTS.filter(bool), METAS, st.lists(FIELD, max_size=2))
@example("<b>", {"title": ["<i>", "$x$"], "theme": "<script>"}, [])
def test_a_dataset_of_any_metadata_is_shown_as_texts(
    name: str, metas: dict[str, Any], fields: list[dict[str, Any]]
) -> None:
    body = {"dataset_id": name, "fields": fields, "metas": {"default": metas}}
    dataset = Dataset.from_api("portal.test", body)
    holds_nothing_else(dataset._repr_html_())
    holds_nothing_else(Datasets([dataset] * 60)._repr_html_())
    for item in dataset.fields:
        holds_nothing_else(item._repr_html_())
        assert "\n" not in repr(item)
    assert "\n" not in repr(dataset)
    assert len(repr(dataset)) < 400


def test_the_reader_of_these_tests_notices_what_is_not_closed() -> None:
    assert issubclass(Read, HTMLParser)
    for page in ("<table><tr></table>", "<p>", "</p>"):
        try:
            read(page)
        except AssertionError:
            continue
        raise AssertionError(page)
