"""What a notebook shows of a long read: one line that is replaced, and gone at the end."""

import io

import pytest

from ods_pipeline.cli import watching


def test_a_notebook_has_one_line_that_is_empty_in_the_end() -> None:
    shown: list[str] = []
    with watching._line("trees", shown.append, pause=0) as received:
        for size in (900, 999_000, 100):
            received(size)
    assert shown == ["trees: 900 B", "trees: 999.9 kB", "trees: 1.0 MB", ""]


def test_a_notebook_is_not_sent_a_line_for_every_piece() -> None:
    shown: list[str] = []
    with watching._line("trees", shown.append, pause=60) as received:
        for _ in range(1_000):
            received(1)
    assert shown == ["trees: 1 B", ""]


@pytest.mark.parametrize("stderr", [io.StringIO(), None])
def test_nothing_is_shown_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO | None
) -> None:
    monkeypatch.setattr("sys.stderr", stderr)
    with watching.watched("trees", patience=0) as received:
        assert received(10) is None
    assert stderr is None or stderr.getvalue() == ""
