"""The page of troubleshooting has messages and errors that there are, and all kinds of errors."""

import ast
import re

from ods_pipeline import errors
from tests.test_docs import ROOT, pages


def sentences() -> list[str]:
    """The texts in the product's source, with an ellipsis where a value is filled in."""
    found = []
    for module in set(PACKAGE.rglob("*.py")) - set((PACKAGE / "emulator").rglob("*.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        found += [written(node) for node in ast.walk(tree) if isinstance(node, TEXTS)]
    return found


TEXTS = ast.Constant | ast.JoinedStr
PACKAGE = ROOT / "ods_pipeline"


def written(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(map(written, node.values))
    if isinstance(node, ast.Constant):
        return re.sub(r"\{\w*\}", "…", str(node.value))
    return "…"


def test_every_message_on_the_page_of_troubleshooting_is_one_of_ours() -> None:
    page = pages()["docs/troubleshooting.md"]
    known = sentences()
    first = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    shown = [message for message in first if " " in message]
    assert len(shown) == len(set(shown)) > 60
    unknown = [
        message
        for message in shown
        if not any(all(part in text for part in parts_of(message)) for text in known)
    ]
    assert unknown == []


def parts_of(message: str) -> list[str]:
    return [part.strip() for part in message.split("…") if part.strip()]


def test_every_kind_of_error_is_explained_with_its_exit_status() -> None:
    page = pages()["docs/troubleshooting.md"]
    kinds = {
        name: kind.exit_status
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.OdsPipelineError)
    }
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (\d) \|", page, re.MULTILINE)
    kinds.pop("OdsPipelineError")
    assert {name: int(status) for name, status in rows} == kinds
