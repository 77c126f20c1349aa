"""A folder of files whose runs are killed or find no room: nothing is lost, and nothing twice."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.datasets.file_values import recorded
from tests.crashes.nursery import OWN_DISK, Done, Nursery, Task

PLENTY = 64 << 20


class Folder:
    """A portal of photographs, and the folder of somebody whose runs are cut short."""

    def __init__(self, emulator: Emulator, nursery: Nursery, place: Path) -> None:
        self.emulator, self._nursery = emulator, nursery
        self.place = self.outside = place
        self.contents: dict[str, bytes] = {}

    def publish(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.emulator.point_to("art", contents, "image/jpeg")

    def on_a_disk_of(self, size: int) -> None:
        self._nursery.mount(self.place, size)
        self.outside = self._nursery.root / self.place.relative_to("/")

    def keep(self, touch: int | None = None, largest: int | None = None) -> Done:
        """Run, and see that what is there is whole, and that nothing comes which was there."""
        known = self.listed()
        self.emulator.requests.clear()
        settings = {"ODS_PORTAL": self.emulator.url, "ODS_DATA_DIR": str(self.place)}
        words = ("attachments", "art", "--files", "-o", str(self.place / "kept"))
        done = self._nursery.run(Task(words, settings, touch=touch, largest=largest))
        assert "Traceback" not in done.said, done.said
        assert not known & self._fetched()
        found = self.files()
        assert found.items() <= self.contents.items()
        assert self.listed() <= {self._id(name) for name in found}
        return done

    def _fetched(self) -> set[str]:
        """What was asked for without a condition."""
        requests = [r for r in self.emulator.requests if "/files/" in r.path]
        return {r.path.rpartition("/")[2] for r in requests if "if-none-match" not in r.headers}

    def _id(self, name: str) -> str:
        return str(recorded(name, b"", "image/jpeg")["id"])

    def files(self) -> dict[str, bytes]:
        """All but the list and what is unfinished; nothing lies beside the folder."""
        assert {path.name for path in self.outside.iterdir()} <= {"kept"}
        kept = self.outside / "kept"
        there = kept.iterdir() if kept.exists() else ()
        return {
            path.name: path.read_bytes()
            for path in there
            if not path.name.startswith((".", "files.json"))
        }

    def listed(self) -> set[str]:
        """The identifiers of what is listed, in the list or in the journal of a killed run."""
        kept, found = self.outside / "kept", []
        if (kept / "files.json").exists():
            found += json.loads((kept / "files.json").read_text())
        if (kept / "files.jsonl").exists():
            lines = (kept / "files.jsonl").read_text().splitlines()
            found += [json.loads(line) for line in lines if line.endswith("}")]
        return {entry["key"].removeprefix("file/") for entry in found}

    def require_settled(self) -> None:
        assert self.files() == self.contents
        assert self.listed() == {self._id(name) for name in self.contents}
        names = {path.name for path in (self.outside / "kept").iterdir()}
        assert names - {*self.contents} == {"files.json", ".files.lock"}


@pytest.fixture
def here(runs: Nursery, tmp_path: Path) -> Iterator[Folder]:
    place = tmp_path / "data"
    place.mkdir()
    with Emulator(sample=False, quota=10**6) as emulator:
        yield Folder(emulator, runs, place)


@pytest.mark.slow
def test_hundreds_of_files_come_whole_and_once_through_faults_and_kills(here: Folder) -> None:
    dice = random.Random(5)
    here.publish({f"{number}.jpg": dice.randbytes(60) for number in range(800)})
    lies = [Fault.cut(20), Fault.status(404), Fault.content_length(9)]
    names = [path.rpartition("/")[2] for path in here.emulator.state.dataset("art").files]
    for name in dice.sample(names, 30):
        here.emulator.fail(f"files/{name}", dice.choice(lies), 1)
    before = 0
    for touch in (40, 1_600, 3_600):
        assert here.keep(touch=touch).killed
        assert len(here.listed()) >= before
        before = len(here.listed())
    assert before > 200
    here.keep()  # Those that were not found fail once more at most.
    here.emulator.faults.clear()
    assert here.keep().status == 0
    here.require_settled()


@pytest.mark.parametrize("seed", range(3))
def test_a_run_may_be_killed_at_any_touch_of_a_file(here: Folder, seed: int) -> None:
    dice = random.Random(seed)
    here.publish({f"{number}.jpg": dice.randbytes(2_000) for number in range(12)})
    killed = 0
    for _ in range(6):
        contents = here.contents
        killed += here.keep(touch=dice.randrange(1, 220)).killed
        here.publish(dict(dice.sample(sorted(contents.items()), len(contents))))
    assert killed
    assert here.keep().status == 0
    here.require_settled()


def with_small_files(here: Folder, size: int) -> Done:
    return here.keep(largest=size)


def on_a_small_disk(here: Folder, size: int) -> Done:
    here.on_a_disk_of(size)
    done = here.keep()
    here.on_a_disk_of(PLENTY)
    return done


# Mounting takes rights that not every machine gives: there, limits on files have to do.
WAYS: dict[str, tuple[tuple[int, ...], str, Callable[[Folder, int], Done]]] = {
    "small files": ((0, 1_000, 4_500), "limit on the size of files", with_small_files),
    **({"a small disk": ((8 << 10, 40 << 10, 200 << 10), "is full", on_a_small_disk)}
       if OWN_DISK else {}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_room_is_told_and_with_room_the_next_run_keeps_what_is_missing(
    here: Folder, way: str
) -> None:
    sizes, sentence, keep = WAYS[way]
    dice = random.Random(1)
    here.publish({f"{number}.jpg": dice.randbytes(5_000) for number in range(60)})
    for size in sizes:
        done = keep(here, size)
        assert (done.status, sentence in done.said) == (1, True), done.said
    assert here.keep().status == 0
    here.require_settled()
