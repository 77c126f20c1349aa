"""Settings for what differs between real portals, or is not known of them.

How a reply is broken on purpose is a fault, and no quirk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ACCESS_CHOICES: dict[str, tuple[object, ...]] = {
    "hidden": ("404", "403"),
    "private": ("401", "login"),
    "wrong_key": ("401", "403", "anonymous"),
    "expired": ("401", "login", "anonymous"),
    "slash": ("redirect", "404"),
    "invalid_grant_status": (400, 401),
}
WFS_CHOICES: dict[str, tuple[object, ...]] = {
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


def _require_known(quirks: object, choices: Mapping[str, tuple[object, ...]]) -> None:
    for name, known in choices.items():
        if getattr(quirks, name) not in known:
            raise ValueError(f"{name} is one of {', '.join(map(str, known))}")


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
        """Refuse an unknown choice."""
        _require_known(self, WFS_CHOICES)


@dataclass(frozen=True)
class FileQuirks:
    """What replies say of attachments and other files, which was never recorded.

    ``validators``: ``etag``, ``date`` (Last-Modified), both with ``etag date``, or neither.
    ``lengths``: whether they carry their length. ``ranges``: whether a part can be asked for.
    ``begins``: bytes by which a part begins before the place that was asked for.
    ``unchanged``: whether every request is told that nothing has changed.
    """

    validators: str = "etag date"
    lengths: bool = True
    ranges: bool = True
    begins: int = 0
    unchanged: bool = False


@dataclass(frozen=True)
class AccessQuirks:
    """How this portal treats callers where neither documents nor recordings say.

    Datasets and the portal.
    ``hidden``: a private dataset asked for by its identifier answers ``404`` or ``403``.
    ``private``: a private portal answers strangers ``401``, or sends them to the ``login`` page.

    Keys.
    ``wrong_key``: ``401``, ``403``, or the caller is taken for ``anonymous``.
    ``tells``: whether the message says unknown, revoked or expired.
    ``anonymous_quota``: strangers who spent theirs read the text about anonymous users.

    OAuth2.
    ``expired``: an expired or unknown bearer answers ``401``, with the ``login`` page (200), or
    the caller is taken for ``anonymous``.
    ``slash``: addresses without the trailing slash ``redirect`` or are ``404``.
    ``echoes_state``: the token reply repeats the ``state`` of its request.
    ``invalid_grant_status``: 400 or 401.
    ``rotates``: each refresh gives a new refresh token; else the old one stays good.
    ``revokes_old_access``: a refresh ends the access tokens of before.
    ``reuse_revokes_family``: a spent refresh token shown again ends all of its grant.
    """

    hidden: str = "404"
    private: str = "401"
    wrong_key: str = "401"
    tells: bool = False
    anonymous_quota: bool = False
    expired: str = "401"
    slash: str = "redirect"
    echoes_state: bool = True
    invalid_grant_status: int = 400
    rotates: bool = True
    revokes_old_access: bool = False
    reuse_revokes_family: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown choice."""
        _require_known(self, ACCESS_CHOICES)


@dataclass(frozen=True)
class Quirks:
    """How this portal behaves where real portals differ or are not known.

    ``multivalued``: ``joined`` strings or ``list`` in Parquet. ``files``: ``url`` or ``struct``
    in Parquet. ``short_dates``: ``date`` or ``string`` for years and months in Parquet.
    ``empty_row_group``: Parquet begins with a row group without rows. ``wfs``: those of the WFS.
    ``access``: those of private datasets, keys and logins. ``served_files``: those of files.
    ``dialect``: empty for v2.1, else ``v2.0``, ``v1`` or ``look-alike`` alone.
    ``deprecation``: what each reply's ``ODS-Explore-API-Deprecation`` says; none where empty.
    """

    multivalued: str = "joined"
    files: str = "url"
    short_dates: str = "date"
    empty_row_group: bool = True
    wfs: WfsQuirks = field(default_factory=WfsQuirks)
    access: AccessQuirks = field(default_factory=AccessQuirks)
    served_files: FileQuirks = field(default_factory=FileQuirks)
    dialect: str = ""
    deprecation: str = ""

    def __post_init__(self) -> None:
        """Refuse an unknown dialect."""
        if self.dialect not in {"", "v2.0", "v1", "look-alike"}:
            raise ValueError("a dialect is v2.0, v1 or look-alike, or empty for v2.1")
