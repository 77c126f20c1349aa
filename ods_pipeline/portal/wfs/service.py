"""`Wfs`: the operations of one portal's Web Feature Service, asked and answered.

Every reply is checked to be what was asked for, in the version that was asked for. Features are
handed over as the GML that they come in.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from ods_pipeline.errors import ConfigurationError, GmlRefused, NotAPortal, RequestRefused
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.wfs import operations
from ods_pipeline.portal.wfs.capabilities import Capabilities, capabilities_in
from ods_pipeline.portal.wfs.description import (
    Property,
    StoredQuery,
    feature_types_in,
    stored_queries_in,
)
from ods_pipeline.portal.wfs.documents import Root, Unreadable, root_of, tree_of
from ods_pipeline.portal.wfs.operations import VERSIONS, Bounds, GetFeature, Method, Version
from ods_pipeline.portal.wfs.replies import opening

_DOCUMENT = 64 << 20
_COUNT = 1 << 20
_NAMESPACES = {"http://www.opengis.net/wfs": "1.1.0", "http://www.opengis.net/wfs/2.0": "2.0.0"}
_PORTS = {"http": 80, "https": 443}
_T = TypeVar("_T")


class Wfs:
    """A portal's WFS, asked in one version."""

    def __init__(
        self, client: Client, version: Version = "1.1.0", *, method: Method = "GET"
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            client: The conversation with the portal.
            version: `1.1.0`, or `2.0.0` for bounding boxes, pages and stored queries.
            method: `GET`, or `POST` for XML bodies, which portals take in 1.1.0 alone.

        Raises:
            ConfigurationError: There is no such version or method, or not together.
        """
        if version not in VERSIONS:
            raise ConfigurationError(f"{version!r} is no version of WFS that a portal speaks")
        if method not in {"GET", "POST"} or (method, version) == ("POST", "2.0.0"):
            raise ConfigurationError(f"WFS {version} of a portal is asked by GET, not by {method}")
        self.client = client
        self.version: Version = version
        self.method: Method = method

    def __repr__(self) -> str:
        """Address, version and method, never a credential."""
        return f"Wfs({self.client.address.base!r}, {self.version!r}, method={self.method!r})"

    def capabilities(self, sections: Sequence[str] = ()) -> Capabilities:
        """What the service offers; the whole document can be large.

        Args:
            sections: Names of the sections to send, such as `FeatureTypeList`.

        Raises:
            PortalError: It is not to be had, or not in this version.
        """
        parameters = operations.get_capabilities(self.version, sections)
        body = operations.capabilities_body(self.version, sections)
        read = self._document("GetCapabilities", parameters, body, capabilities_in)
        self._require(read.version)
        return read

    def describe(self, *type_names: str) -> Mapping[str, tuple[Property, ...]]:
        """The properties of feature types, by local name; of all where none is named."""
        names = [operations.type_name(name) for name in type_names]
        parameters = operations.describe_feature_type(self.version, names)
        body = operations.describe_body(names)
        return self._document("DescribeFeatureType", parameters, body, feature_types_in)

    def stored_queries(self) -> tuple[StoredQuery, ...]:
        """The queries that the server keeps; 2.0.0 alone has them."""
        return self._stored("ListStoredQueries")

    def describe_stored_queries(self) -> tuple[StoredQuery, ...]:
        """The same with their parameters."""
        return self._stored("DescribeStoredQueries")

    def hits(self, type_name: str, *, bbox: Bounds | None = None) -> int | None:
        """How many features there are; None where the server does not say.

        Raises:
            PortalError: It is not to be had.
        """
        query = GetFeature(operations.type_name(type_name), bbox=bbox, hits=True)
        url, body = self._feature_request(query)
        reply = self.client.whole(url, opening, body, _COUNT)
        root = self._root(reply)
        return None if root is None else _counted(root, reply)

    @contextlib.contextmanager
    def features(
        self,
        type_name: str,
        *,
        properties: Sequence[str] = (),
        max_features: int | None = None,
        feature_id: Sequence[str] = (),
        bbox: Bounds | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Features as GML, as they come.

        Args:
            type_name: A dataset's identifier, or a feature type with its prefix.
            properties: Fields to give; all without it.
            max_features: How many at most; all without it.
            feature_id: Identifiers of single features.
            bbox: West, south, east and north in degrees; 2.0.0 alone has it.

        Yields:
            The body in chunks. Whether it is whole is for its reader to say.

        Raises:
            ConfigurationError: The version does not know a parameter.
            PortalError: It is not to be had, or not in this version.
        """
        name = operations.type_name(type_name)
        query = GetFeature(name, properties, max_features, feature_id, bbox)
        yield from self._streamed(*self._feature_request(query))

    @contextlib.contextmanager
    def page(self, link: str) -> Iterator[Iterator[bytes]]:
        """The next page of features, where a collection says that it is.

        Raises:
            GmlRefused: The link leads to another host than the portal's.
            PortalError: It is not to be had.
        """
        yield from self._streamed(self._own(link), None)

    def url(self, type_name: str, properties: Sequence[str] = ()) -> str:
        """The address of a feature type's features."""
        query = GetFeature(operations.type_name(type_name), properties)
        return self._get("GetFeature", operations.get_feature(self.version, query))

    def _get(self, request: str, parameters: dict[str, str]) -> str:
        return operations.address(self.client.address.base, self.version, request, parameters)

    def _document(
        self,
        request: str,
        parameters: dict[str, str],
        body: bytes | None,
        read: Callable[[bytes], _T],
    ) -> _T:
        base = self.client.address.base
        posted = body if self.method == "POST" else None
        url = operations.endpoint(base) if posted else self._get(request, parameters)
        reply = self.client.whole(url, opening, posted, _DOCUMENT + 1)
        try:
            if len(reply) > _DOCUMENT:
                raise Unreadable(f"it is longer than {_DOCUMENT:,} bytes")
            return read(reply)
        except Unreadable as error:
            raise NotAPortal(
                f"the reply to {request} is no such document of a WFS: {error}",
                portal=self.client.slug,
                url=url,
            ) from error

    def _stored(self, request: str) -> tuple[StoredQuery, ...]:
        if self.version == "1.1.0":
            raise ConfigurationError(f"{request} needs WFS 2.0.0; 1.1.0 has no stored queries")
        return self._document(request, {}, None, stored_queries_in)

    def _feature_request(self, query: GetFeature) -> tuple[str, bytes | None]:
        parameters = operations.get_feature(self.version, query)
        if self.method == "GET":
            return self._get("GetFeature", parameters), None
        return operations.endpoint(self.client.address.base), operations.feature_body(query)

    def _streamed(self, url: str, body: bytes | None) -> Iterator[Iterator[bytes]]:
        with self.client.exchange(url, opening, body) as chunks:
            head = next(chunks, b"")
            self._root(head)
            yield itertools.chain([head], chunks)

    def _root(self, head: bytes) -> Root | None:
        """The outermost element, which must not be another version's."""
        try:
            root = root_of(head)
        except Unreadable:
            return None
        if root is not None:
            self._require(_NAMESPACES.get(root.namespace, self.version))
        return root

    def _require(self, version: str) -> None:
        if version.split(".")[:2] != self.version.split(".")[:2]:
            came = f"in WFS {version}" if version else "without saying in which version of WFS"
            known = next((v for v in VERSIONS if v.split(".")[:2] == version.split(".")[:2]), "")
            advice = f"; to read what it speaks, ask with version={known!r}" if known else ""
            raise RequestRefused(
                f"the portal answers {came} where {self.version} was asked for{advice}",
                portal=self.client.slug,
                url=operations.endpoint(self.client.address.base),
            )

    def _own(self, link: str) -> str:
        base = self.client.address.base
        try:
            url = urljoin(operations.endpoint(base), link)
        except ValueError:
            url = link
        if _origin(url) != _origin(base):
            raise GmlRefused(
                "the WFS says that its next features are on another host than the portal's own, "
                "where nothing is asked and no credential goes",
                portal=self.client.slug,
                url=url,
            )
        return url


def _counted(root: Root, body: bytes) -> int | None:
    """The number in a reply to `hits`; none where features came with it, or more than a count."""
    try:
        held = {item.tag for item in tree_of(body)}
    except Unreadable:
        return None
    said = root.attributes.get("numberMatched") or root.attributes.get("numberOfFeatures") or ""
    empty = root.name == "FeatureCollection" and held <= {"boundedBy"}
    return int(said) if empty and said.isascii() and said.isdigit() else None


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None
