"""Replies of v2.0 in the shape of v2.1, and parameters as each version takes them."""

from typing import Any

import pytest

from ods_pipeline.portal.http.versions import NEWEST, OLDER, is_page_of_older

V2_0 = OLDER[0]
TOWN = {"dataset_id": "towns", "fields": [], "metas": {}}


@pytest.mark.parametrize(
    ("body", "flat"),
    [
        (
            {"total_count": 1, "links": [], "datasets": [{"links": [], "dataset": TOWN}]},
            {"total_count": 1, "results": [TOWN]},
        ),
        ({"links": [], "dataset": TOWN}, TOWN),
        (
            {
                "total_count": 1,
                "links": [],
                "records": [{"record": {"id": "1", "fields": {"n": 2}}}],
            },
            {"total_count": 1, "results": [{"n": 2}]},
        ),
        ({"links": [], "record": {"id": "1", "fields": {"n": 2}}}, {"n": 2}),
        # Groups as recorded, and as the OpenAPI of 2022 shows them.
        ({"records": [{"record": {"fields": {"n": 2}}}]}, {"results": [{"n": 2}]}),
        ({"records": [{"n": 2}]}, {"results": [{"n": 2}]}),
        # An export of the catalog, whether it is wrapped or not.
        ([{"links": [], "dataset": TOWN}, TOWN], [TOWN, TOWN]),
        ({"links": [], "facets": [{"name": "a"}]}, {"links": [], "facets": [{"name": "a"}]}),
        ([1, None, "x"], [1, None, "x"]),
        ({"dataset": "a text", "n": 1}, {"dataset": "a text", "n": 1}),
        (None, None),
    ],
)
def test_a_reply_of_v2_0_is_as_v2_1_writes_it(body: Any, flat: Any) -> None:
    assert V2_0.newest(body) == flat
    assert NEWEST.newest(body) is body


def test_the_order_of_datasets_has_a_name_in_each_version() -> None:
    ordered = {"order_by": "dataset_id", "limit": 1}
    assert NEWEST.parameters("/catalog/datasets", ordered) == ordered
    assert V2_0.parameters("/catalog/datasets", ordered)["order_by"] == "datasetid"
    # Records may have a field of that name.
    assert V2_0.parameters("/catalog/datasets/a/records", ordered) == ordered
    assert V2_0.parameters("/catalog/datasets", {"order_by": "title"}) == {"order_by": "title"}


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"datasets": []}, {"total_count": 1, "datasets": [TOWN]}, {"nhits": 1}],
)
def test_what_is_no_page_of_v2_0_is_not_taken_for_one(body: Any) -> None:
    assert not is_page_of_older(body)
