"""Lists in CSV: split by a separator that we ask for, and refused where a portal ignores it."""

from contextlib import AbstractContextManager

import pytest

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.portal import Portal
from tests.portal.answers import Answer, Query, Served, document, portal_of

DATASET = {
    "dataset_id": "works",
    "fields": [
        {"name": "work", "type": "text"},
        {"name": "artists", "type": "text", "annotations": {"multivalued": [","]}},
    ],
}


def portal_with(lists: list[list[str] | None], *, obeys: bool) -> AbstractContextManager[Served]:
    """A portal of one dataset, whose records hold these lists."""

    def answer(path: str, query: Query) -> Answer:
        if path.endswith("/exports/csv"):
            separator = query["list_separator"] if obeys else ","
            cells = [separator.join(values or ()) for values in lists]
            lines = [f'{number};"{cell}"' for number, cell in enumerate(cells)]
            return 200, "\r\n".join(["work;artists", *lines, ""]).encode()
        if path.endswith("/records"):
            held = [values for values in lists if values is not None]
            results = [{"artists": values} for values in held[: int(query["limit"])]]
            return document({"total_count": len(lists), "results": results})
        return document(DATASET)

    return portal_of(answer)


def test_values_that_hold_commas_stay_whole_where_the_portal_obeys() -> None:
    lists = [["Wai, Inc", "Switzer"], None, ["Parks, recreation, and pets"]]
    with portal_with(lists, obeys=True) as served:
        table = Portal(served.url).records("works", "csv")
    assert table["artists"].to_pylist() == lists


def test_a_portal_that_joins_with_commas_all_the_same_is_refused_by_name() -> None:
    with (
        portal_with([["241", "244"], ["19"]], obeys=False) as served,
        pytest.raises(Unproven, match="values of field 'artists' with text"),
    ):
        Portal(served.url).records("works", "csv")


def test_commas_inside_single_values_are_no_reason_to_refuse() -> None:
    lists = [["Wai, Inc"], ["Switzer"]]
    with portal_with(lists, obeys=True) as served:
        assert Portal(served.url).records("works", "csv")["artists"].to_pylist() == lists
        assert served.asked.count("/catalog/datasets/works/records") == 2
