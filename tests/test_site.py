"""The documentation site: built without a warning, whole, and nothing of it is elsewhere."""

import inspect
import re
from html import unescape
from pathlib import Path

import pytest

import ods_pipeline
from ods_pipeline.cli.main import cli
from tests import site


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.build(tmp_path_factory.mktemp("docs"))


def text(page: Path) -> str:
    """What a page says, without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_nothing_of_a_page_comes_from_another_host(built: Path) -> None:
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=\"?([^\" >]+)", html)
        loaded += re.findall(r"<link\b[^>]*?\bhref=\"?([^\" >]+)", html)
        assert loaded
        assert [place for place in loaded if re.match(r"(?:[a-z]+:)?//", place)] == [], page


def test_every_link_to_another_page_or_heading_leads_there(built: Path) -> None:
    links = 0
    for page in built.rglob("*.html"):
        if page.name == "404.html":  # Served for any address, so its links begin at the root.
            continue
        for link in re.findall(r"<a\b[^>]*?\bhref=\"?([^\" >]+)", page.read_text(encoding="utf-8")):
            place, _, heading = unescape(link).partition("#")
            if re.match(r"[a-z]+:", place):
                continue
            target = (page.parent / place).resolve() if place else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), (page, link)
            if heading and target.suffix == ".html":
                shown = target.read_text(encoding="utf-8")
                assert re.search(rf"\bid=\"?{re.escape(heading)}[\" >]", shown), (page, link)
            links += 1
    assert links > 1_000


def test_the_reference_has_every_public_name_and_method(built: Path) -> None:
    page = (built / "python-api" / "index.html").read_text(encoding="utf-8")
    listed = set(re.findall(r"\bid=\"?ods_pipeline\.([\w.]+)", page))
    for name in ods_pipeline.__all__:
        thing = getattr(ods_pipeline, name)
        names = {name}
        if name in {"Portal", "Lake"}:
            found = inspect.getmembers(thing, inspect.isfunction)
            names |= {f"{name}.{method}" for method, _ in found if not method.startswith("_")}
            assert len(names) > 6
        lost = {
            name for name in names if not any(f".{place}".endswith(f".{name}") for place in listed)
        }
        assert lost == set()


def test_the_reference_has_every_command_with_its_options(built: Path) -> None:
    page = text(built / "commands" / "index.html")
    for name, command in cli.commands.items():
        assert f"ods-pipeline {name}" in page
        assert all(
            option.opts[-1] in page
            for option in command.params
            if option.param_type_name == "option"
        )
