"""Puts the pages and files that stand outside `docs/` into the site, and mends the links to them.

In the checkout every link leads to a file, so pages can be read there too. In the site the README
is the home page, and `docs/` is the root. Nothing here knows what a page says.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parent.parent
_FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "data/portal/README.md")
_FOLDERS = ("benchmarks/results", "deploy", "examples/city")
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add what other folders have, each file under its path in the checkout."""
    found = [path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*") if path.is_file()]
    for path in [*(_ROOT / name for name in _FILES), *sorted(found)]:
        name = _in_site(path.relative_to(_ROOT).as_posix())
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to where the files are in the site."""
    source = Path(page.file.abs_src_path).relative_to(_ROOT).parent.as_posix()
    here = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = _in_site(posixpath.normpath(posixpath.join(source, link[1])))
        return posixpath.relpath(target, here or ".")

    return _LINK.sub(moved, markdown)


def _in_site(path: str) -> str:
    """Where a file of the checkout is in the site."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")
