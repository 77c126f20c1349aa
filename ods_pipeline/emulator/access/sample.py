"""What of the sample portal is private: a person, their key, an application, a dataset."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ods_pipeline.emulator.admin_verbs import AccessVerbs

USER, PASSWORD, KEY = "sample", "sample", "sample-key"
APPLICATION, SECRET = "sample-application", "sample-secret"
REDIRECT = "http://127.0.0.1:8766/callback"
HIDDEN = "staff-only-counters"
ROWS = 20
# The same whenever the sample is loaded: nothing has happened to it since.
MOMENT = "2026-09-01T06:00:00+00:00"
FIELDS = (
    {"name": "code", "type": "text", "label": "Code", "description": "Leading zeros kept"},
    {"name": "passages", "type": "int", "label": "Passages"},
    {"name": "day", "type": "date", "label": "Day"},
    {"name": "geo_point_2d", "type": "geo_point_2d", "label": "Location"},
)
METAS: dict[str, Any] = {
    "title": "Counters, for staff alone",
    "description": "<p>Made up: bicycle counters that only the sample user sees.</p>",
    "publisher": "The emulator",
    "license": "CC0",
    "geometry_types": ["Point"],
    "modified": MOMENT,
    "data_processed": MOMENT,
    "metadata_processed": MOMENT,
}


def load(portal: AccessVerbs) -> None:
    """Add them all; strangers notice nothing."""
    portal.add_user(USER, PASSWORD, [HIDDEN])
    portal.add_key(KEY, USER)
    portal.add_application(APPLICATION, SECRET, REDIRECT)
    rows = [_row(number) for number in range(ROWS)]
    portal.publish(HIDDEN, fields=FIELDS, records=rows, metas=METAS, hidden=True)


def _row(number: int) -> dict[str, Any]:
    return {
        "code": f"{number * 7:05}",
        "passages": number * 131 % 997,
        "day": (date(2026, 8, 1) + timedelta(days=number)).isoformat(),
        "geo_point_2d": {"lon": 2.3 + number / 100, "lat": 48.8 + number / 200},
    }
