"""What a notebook shows of a long read: one line, written over, and gone at the end."""

import io

import pytest

from ods_pipeline.cli import watching


def test_a_notebook_has_one_line_that_is_empty_in_the_end() -> None:
    stream = io.StringIO()
    with watching._line("trees", stream, pause=0) as received:
        for size in (900, 999_000, 100):
            received(size)
    first, *between, last, nothing = stream.getvalue().split("\r")[1:]
    assert first == "trees: 900 B"
    assert between == ["trees: 999.9 kB", "trees: 1.0 MB  "]
    assert last.strip() == nothing == ""
    assert len(last) >= len("trees: 999.9 kB")


def test_a_notebook_is_not_sent_a_line_for_every_piece() -> None:
    stream = io.StringIO()
    with watching._line("trees", stream, pause=60) as received:
        for _ in range(1_000):
            received(1)
    assert stream.getvalue().count("trees") == 1


@pytest.mark.parametrize("stderr", [io.StringIO(), None])
def test_nothing_is_shown_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO | None
) -> None:
    monkeypatch.setattr("sys.stderr", stderr)
    with watching.watched("trees", patience=0) as received:
        assert received(10) is None
    assert stderr is None or stderr.getvalue() == ""
