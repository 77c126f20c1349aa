"""Dates in elements of GML, which is how MapServer 2.0.0 writes them."""

from datetime import date

import pytest

from ods_pipeline.dataset import Field
from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import read_gml
from tests.portal.gml.documents import around

POINT = '<gml:Point srsName="CRS:84"><gml:pos>1 2</gml:pos></gml:Point>'
DATE = "<gml:timePosition>2026-04-15</gml:timePosition>"


@pytest.mark.parametrize(
    "inner", [DATE, f" {DATE}\n", f'<gml:TimeInstant gml:id="t.1"> {DATE} </gml:TimeInstant>']
)
def test_a_date_in_elements_of_gml_is_a_date(inner: str) -> None:
    frame = read_gml(around(f"<ods:day>{inner}</ods:day>"), schema=[Field("day", "date")])
    assert list(frame["day"]) == [date(2026, 4, 15)]
    twice = read_gml(around(f"<ods:day>{inner}</ods:day>" * 2))
    assert [list(days) for days in twice["day"]] == [["2026-04-15"] * 2]


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (f"x{DATE}", "has text beside an element"),
        (f"{DATE}x", "has text beside its date"),
        (DATE * 2, "has more than one date"),
        (f"{DATE}{POINT}", "has more than one date"),
        (f"{POINT}{DATE}", "has more than one geometry"),
        (f"<gml:TimeInstant>{DATE}x</gml:TimeInstant>", "has text beside its date"),
        (f"<gml:TimeInstant>{DATE}{DATE}</gml:TimeInstant>", "has timePosition in a date"),
        (f"<gml:TimeInstant><gml:name/>{DATE}</gml:TimeInstant>", "has name in a date"),
        ("<gml:TimeInstant/>", "has a date without a position"),
        (f"<gml:TimePeriod>{DATE}</gml:TimePeriod>", "is a TimePeriod, which is not supported"),
        (DATE.replace("n>", 'n indeterminatePosition="after">', 1), "has the date 'after'"),
        (DATE.replace("n>", 'n xlink:href="#t">', 1), "has a date that links elsewhere"),
        (DATE.replace("2026", "<ods:x/>"), "has x in a date"),
    ],
)
def test_what_is_no_plain_date_is_refused(inner: str, says: str) -> None:
    with pytest.raises(GmlRefused, match=f"'x.1', property 'day', {says}"):
        read_gml(around(f"<ods:day>{inner}</ods:day>"))


def test_a_property_is_dates_or_geometry() -> None:
    with pytest.raises(GmlRefused, match="'day', holds both text and geometry"):
        read_gml(around(f"<ods:day>{POINT}</ods:day><ods:day>{DATE}</ods:day>"))
