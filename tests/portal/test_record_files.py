"""Which files a dataset's records point to, in every form in which portals write that."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.quirks import Quirks
from ods_pipeline.errors import PortalFailure, Unproven
from ods_pipeline.portal.files.record_files import files_of
from ods_pipeline.portal.files.remote_file import RemoteFile
from ods_pipeline.portal.portal import Portal

BASE = "https://data.test/api/explore/v2.1/catalog/datasets/art/files"
FULL = {
    "exif_orientation": 1,
    "thumbnail": True,
    "filename": "LBentallBust.JPG",
    "width": 1024,
    "format": "JPEG",
    "etag": "euTzlThbJ/WmVvgeO7YArg==",
    "mimetype": "image/jpeg",
    "id": "474f",
    "last_synchronized": "2023-04-25T12:22:21.990158",
    "color_summary": ["rgba(91, 89, 71, 1.00)"],
    "height": 1024,
}


def file(id: str, title: str = "", mime: str = "", url: str | None = None) -> RemoteFile:
    return RemoteFile(id, title, mime, f"{BASE}/{id}" if url is None else url, "file")


BUST = file("474f", "LBentallBust.JPG", "image/jpeg")
FORMS: dict[str, tuple[Any, list[RemoteFile]]] = {
    "an object with an id": (FULL, [BUST]),
    "its JSON as text": (json.dumps(FULL), [BUST]),
    "Python's notation of it": (repr(FULL), [BUST]),
    "an id alone": ({"id": "474f"}, [file("474f")]),
    "an address below the dataset": (f"{BASE}/474f", [file("474f")]),
    "an object with that address": (
        {"url": f"{BASE}/474f", "filename": "a.jpg"},
        [file("474f", "a.jpg")],
    ),
    "an address elsewhere": (
        "https://cdn.test/a/b%20c.jpg?v=1",
        [file("https://cdn.test/a/b%20c.jpg?v=1", "b c.jpg", url="https://cdn.test/a/b%20c.jpg?v=1")],
    ),
    "an id with an address elsewhere": (
        FULL | {"url": "https://cdn.test/x"},
        [file("474f", "LBentallBust.JPG", "image/jpeg", "https://cdn.test/x")],
    ),
    "how a portal names it to itself": ("odsfile://art/plan.pdf", [file("plan.pdf")]),
    "the same with an id": ({"id": "474f", "url": "odsfile://plan.pdf"}, [file("474f")]),
    "a path on the portal": (
        "/explore/files/x",
        [file("https://data.test/explore/files/x", "x", url="https://data.test/explore/files/x")],
    ),
    "a list": ([{"id": "a"}, None, "odsfile://b"], [file("a"), file("b")]),
    "a list as text": ('[{"id": "a"}, {"id": "b"}]', [file("a"), file("b")]),
    "a name that begins like JSON": ("[2024] plan.pdf", [
        file("[2024] plan.pdf", url=f"{BASE}/%5B2024%5D%20plan.pdf")
    ]),
    "an id that leads away": ({"id": "../../secret"}, [file("../../secret", url="")]),
    "an id with signs": ({"id": "a/b?c"}, [file("a/b?c", url=f"{BASE}/a%2Fb%3Fc")]),
    "a number": (7, [file("7", url="")]),
    "an address that is none": ("http://[x", [file("http://[x", url="http://[x")]),
    "nothing": (None, []),
    "an empty text": ("", []),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_found_in_every_form_of_a_value(form: str) -> None:
    value, found = FORMS[form]
    assert list(files_of(value, BASE)) == found


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False) as running:
        yield running


def portal(emulator: Emulator) -> Portal:
    return Portal(emulator.url, pause=0.01)


def publish(emulator: Emulator, *values: Any, **more: str) -> None:
    fields = [{"name": "n", "type": "int"}, {"name": "a photo", "type": "file"}]
    fields += [{"name": name, "type": kind} for name, kind in more.items()]
    emulator.publish("art", fields, [{"n": n, "a photo": v} for n, v in enumerate(values)])


def test_records_that_point_to_the_same_file_name_it_once(emulator: Emulator) -> None:
    publish(emulator, {"id": "a"}, {"id": "a"}, None, {"id": "b"}, plan="file")
    emulator.requests.clear()
    assert [item.id for item in portal(emulator).record_files("art")] == ["a", "b"]
    asked = [request for request in emulator.requests if "/exports/" in request.path]
    assert ["`a photo`" in str(request.query) for request in asked] == [True]


def test_a_dataset_without_such_fields_is_not_read(emulator: Emulator) -> None:
    emulator.publish("art", [{"name": "n", "type": "int"}], [{"n": 1}])
    assert portal(emulator).record_files("art") == []
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("refusal", [Fault.refused(403), Fault.refused(400), Fault.status(404)])
@pytest.mark.parametrize("files", ["url", "struct"])
def test_a_portal_that_gives_no_json_lines_is_read_as_csv(refusal: Fault, files: str) -> None:
    with Emulator(sample=False, quirks=Quirks(files=files)) as emulator:
        publish(emulator, FULL, {"url": "https://cdn.test/a.jpg"})
        emulator.fail("exports/jsonl", refusal, None)
        found = portal(emulator).record_files("art")
        assert [item.id for item in found] == ["474f", "https://cdn.test/a.jpg"]
        assert found[0].url.startswith(emulator.url)


LIES = [
    Fault.short_rows(1),
    Fault.cut(30),
    Fault.short_body(40),
    Fault.appended_error(),
    Fault.html(as_data=True),
    Fault.error_instead(),
    Fault.empty_body(),
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.kind)
def test_a_list_of_files_is_whole_or_it_is_none(emulator: Emulator, lie: Fault) -> None:
    publish(emulator, *({"id": f"{number}"} for number in range(20)))
    emulator.fail("exports/jsonl", lie, 1)
    assert len(portal(emulator).record_files("art")) == 20
    emulator.fail("exports/jsonl", lie, None)
    with pytest.raises((Unproven, PortalFailure)):
        portal(emulator).record_files("art")


def test_the_photographs_of_the_sample_portal_are_served() -> None:
    with Emulator() as sample:
        found = portal(sample).record_files("public-art")
        assert len(found) == 624
        with portal(sample).client.exchange(found[0].url) as chunks:
            assert b"".join(chunks).startswith(b"\x89PNG")
