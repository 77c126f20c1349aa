"""How much of a query the API gives: pages of 100, up to 10,000 records or 20,000 groups.

The limits are told before anything is sent, where that can be known. What is in the pages does not
belong here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ods_pipeline.errors import ConfigurationError, Contradicted, NotAPortal
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.queries.expressions import is_one_row
from ods_pipeline.portal.query import Query, require_whole_number

#: Documented in the API's OpenAPI; portals say the same when more is asked for.
PAGE, RECORDS, GROUPS = 100, 10_000, 20_000

_IN_ONE_PIECE = "records() has no such limit: it reads an export"


@dataclass(frozen=True)
class Page:
    """Which part of a query's rows, and what is added to each.

    Attributes:
        limit: Number of rows; all that the API gives without it.
        offset: Number of rows to leave out at the beginning.
        include_links: Add the addresses of record and dataset, as `_links`.
        include_app_metas: Add what the portal notes of a record: `_id`, `_timestamp`, `_size`.
    """

    limit: int | None = None
    offset: int = 0
    include_links: bool = False
    include_app_metas: bool = False

    def __post_init__(self) -> None:
        """Refuse what no portal takes.

        Raises:
            ConfigurationError: A number is negative, or none.
        """
        for name, value in (("limit", self.limit), ("offset", self.offset)):
            require_whole_number(name, value)
            if value is not None and value < 0:
                raise ConfigurationError(f"{name} is {value}: give 0 or more")

    def require_possible(self, query: Query) -> None:
        """Refuse what the API gives in no number of pages.

        Raises:
            ConfigurationError: More is asked for, or several pages without an order.
        """
        most = GROUPS if query.group_by else RECORDS
        what = "groups" if query.group_by else "records"
        if self.offset + (self.limit or 0) > most:
            raise ConfigurationError(
                f"offset and limit end at {self.offset + (self.limit or 0):,}, and the API gives "
                f"the first {most:,} {what} alone; {_IN_ONE_PIECE}"
            )
        if not query.group_by and (self.limit or 0) > PAGE:
            _require_order(query, self.limit or 0)

    def parameters(self) -> dict[str, object]:
        """What is added to each row, as the API names it."""
        return {
            "include_links": self.include_links or None,
            "include_app_metas": self.include_app_metas or None,
        }


def rows_of(
    client: Client, path: str, query: Query, page: Page, *, where: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of a query as the portal writes them.

    Args:
        client: The client of the portal.
        path: The endpoint.
        query: Which rows.
        page: Which part of them.
        where: Portal and dataset, for errors.

    Raises:
        ConfigurationError: The API does not give so many; nothing was asked, or the first page
            said so.
        Contradicted: Fewer rows came than the portal counts.
        PortalError: The portal does not answer.
    """
    page.require_possible(query)
    asked = {**query.parameters(), **page.parameters()}
    if query.group_by:
        return _groups(client, path, asked, page)
    if is_one_row(query):
        # Without groups they are one row, which the API repeats for each record of the page.
        found, _ = _page(client, path, {**asked, "limit": 1, "offset": 0})
        return found
    return list(_records(client, path, asked, query, page, where))


def _groups(
    client: Client, path: str, asked: Mapping[str, object], page: Page
) -> list[dict[str, Any]]:
    limit = GROUPS - page.offset if page.limit is None else page.limit
    found, _ = _page(client, path, {**asked, "limit": limit, "offset": page.offset})
    if page.limit is None and len(found) >= limit:
        raise ConfigurationError(
            f"there are more than the {GROUPS:,} groups that the API gives; {_IN_ONE_PIECE}"
        )
    return found


def _records(
    client: Client,
    path: str,
    asked: Mapping[str, object],
    query: Query,
    page: Page,
    where: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    wanted, offset = page.limit, page.offset
    first = PAGE if wanted is None else min(wanted, PAGE)
    found, total = _page(client, path, {**asked, "limit": first, "offset": offset})
    if total is None:
        url = client.url(path)
        raise NotAPortal("the reply has no total_count, so it is no page", url=url, **where)
    there = max(0, total - offset)
    wanted = there if wanted is None else min(wanted, there)
    if wanted > PAGE:
        _require_order(query, wanted)
    if offset + wanted > RECORDS:
        raise ConfigurationError(
            f"there are {wanted:,} records, and the API gives the first {RECORDS:,} alone; "
            f"{_IN_ONE_PIECE}"
        )
    came = 0
    while True:
        yield from found
        came += len(found)
        if came >= wanted or not found:
            break
        step = {"limit": min(PAGE, wanted - came), "offset": offset + came}
        found, _ = _page(client, path, {**asked, **step})
    if came != wanted:
        raise Contradicted(f"{came} records came where the portal counts {wanted}", **where)


def _require_order(query: Query, rows: int) -> None:
    if not query.order_by:
        raise ConfigurationError(
            f"{rows:,} records come in several pages, and without order_by a portal's pages may "
            f"repeat some and leave out others: give order_by, or a limit of {PAGE}; "
            f"{_IN_ONE_PIECE}"
        )


def _page(
    client: Client, path: str, asked: Mapping[str, object]
) -> tuple[list[dict[str, Any]], int | None]:
    body = client.json(path, asked)
    found = body.get("results") if isinstance(body, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise NotAPortal(
            "the reply is no page of the Explore API v2.1",
            portal=client.slug,
            url=client.url(path, asked),
        )
    total = body.get("total_count")
    known = isinstance(total, int) and not isinstance(total, bool)
    return found, total if known else None
