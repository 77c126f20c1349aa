"""Where the WFS of real portals is not known: the choices; what they do is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WfsQuirks:
    """How this portal's WFS behaves where neither documents nor recordings say.

    Coordinates.
    ``srs``: ``urn``, ``x-urn``, ``http`` (latitude first), ``short_lonlat``, ``short_latlon``
    (both ``EPSG:4326``), ``gml_lonlat`` (``epsg.xml#4326``), ``crs84``, ``none_lonlat``,
    ``none_latlon``.
    ``positions``: ``posList``, ``pos`` or ``coordinates`` in lines and rings.
    ``points``: ``pos`` or ``coordinates`` in points.
    ``multi``: ``simple`` (MultiLineString, MultiPolygon) or ``curved`` (MultiCurve,
    MultiSurface).
    ``decimals``: digits kept after the point; ``None`` keeps all.

    Features.
    ``members``: ``one`` member element for each feature, or ``all`` in one (1.1.0 alone).
    ``ids``: ``number`` (the row's), ``record`` (the record's hash) or ``absent``.
    ``nulls``: ``absent``, ``empty`` or ``nil`` elements.
    ``lists``: ``repeated`` elements, ``joined`` by the field's separator, or a Python ``repr``.
    ``datetimes``: ``space`` or ``T`` between date and time.
    ``booleans``: ``python`` (True), ``lower`` (true) or ``number`` (1).
    ``short_dates``: ``short`` or ``whole`` for years and months.

    Counts and replies.
    ``counts``: ``told``, ``absent`` or ``unknown`` (2.0.0: ``numberMatched="unknown"``) in
    results; ``hits``: ``told``, ``refused`` or ``unknown``, and ``hits_off`` is added to it.
    ``cap``: the most features ever given; ``cap_count``: ``honest`` counts those given,
    ``lying`` those matched.
    ``page``: features on a page of 2.0.0; ``next_link``: ``good``, ``loop`` (the same page
    again), ``endless`` (the same, at ever new addresses), ``overlap`` (every page but the first
    begins with a feature of the one before, as when rows come in another order each time),
    ``elsewhere`` (another host) or ``missing``.
    ``exception_status``: the HTTP status of an ExceptionReport.
    ``version``: answer in this version whatever is asked; empty obeys.
    """

    srs: str = "urn"
    positions: str = "posList"
    points: str = "pos"
    multi: str = "simple"
    decimals: int | None = None
    members: str = "one"
    ids: str = "number"
    nulls: str = "absent"
    lists: str = "repeated"
    datetimes: str = "space"
    booleans: str = "python"
    short_dates: str = "short"
    counts: str = "told"
    hits: str = "told"
    hits_off: int = 0
    cap: int | None = None
    cap_count: str = "honest"
    page: int | None = None
    next_link: str = "good"
    exception_status: int = 400
    version: str = ""

    def __post_init__(self) -> None:
        """Refuse a choice that there is not."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(choices)}")


CHOICES = {
    "srs": (
        "urn",
        "x-urn",
        "http",
        "short_lonlat",
        "short_latlon",
        "gml_lonlat",
        "crs84",
        "none_lonlat",
        "none_latlon",
    ),
    "positions": ("posList", "pos", "coordinates"),
    "points": ("pos", "coordinates"),
    "multi": ("simple", "curved"),
    "members": ("one", "all"),
    "ids": ("number", "record", "absent"),
    "nulls": ("absent", "empty", "nil"),
    "lists": ("repeated", "joined", "repr"),
    "datetimes": ("space", "T"),
    "booleans": ("python", "lower", "number"),
    "short_dates": ("short", "whole"),
    "counts": ("told", "absent", "unknown"),
    "hits": ("told", "refused", "unknown"),
    "cap_count": ("honest", "lying"),
    "next_link": ("good", "loop", "endless", "overlap", "elsewhere", "missing"),
    "version": ("", "1.1.0", "2.0.0"),
}
