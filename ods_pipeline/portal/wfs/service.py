"""`Wfs`: the operations of one portal's Web Feature Service.

Every reply is checked to be of the requested kind and version. Nothing here parses features, which
are returned as GML.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urljoin

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
from ods_pipeline.portal.wfs.operations import (
    VERSIONS,
    Bounds,
    GetFeature,
    Method,
    Properties,
    Version,
)
from ods_pipeline.portal.wfs.replies import opening

_DOCUMENT = 64 << 20
_COUNT = 1 << 20
_NAMESPACES = {"http://www.opengis.net/wfs": "1.1.0", "http://www.opengis.net/wfs/2.0": "2.0.0"}
_T = TypeVar("_T")


class Wfs:
    """A portal's WFS, in one version."""

    def __init__(
        self, client: Client, version: Version = "1.1.0", *, method: Method = "GET"
    ) -> None:
        """Prepare requests; nothing is sent yet.

        Args:
            client: The portal's client.
            version: `1.1.0`, or `2.0.0` for bounding boxes, pages and stored queries.
            method: `GET`, or `POST` for XML bodies, which portals accept in 1.1.0 only.

        Raises:
            ConfigurationError: There is no such version or method, or not together.
        """
        if version not in VERSIONS:
            raise ConfigurationError(f"{version!r} is not a version of WFS that portals support")
        if method not in {"GET", "POST"} or (method, version) == ("POST", "2.0.0"):
            raise ConfigurationError(
                f"WFS {version} of a portal is requested by GET, not by {method}"
            )
        self.client = client
        self.version: Version = version
        self.method: Method = method

    def __repr__(self) -> str:
        """Address, version and method, never a credential."""
        return f"Wfs({self.client.address.base!r}, {self.version!r}, method={self.method!r})"

    def capabilities(
        self, sections: Sequence[str] = (), *, accept_versions: Sequence[Version] = ()
    ) -> Capabilities:
        """What the service offers; the whole document can be large.

        Args:
            sections: Names of the sections to request, such as `FeatureTypeList`; all without it.
            accept_versions: Versions that are welcome, the best first; that of this object
                without it. `Capabilities.version` says which one came.

        Raises:
            PortalError: The request failed, or the reply has another version.
        """
        accepted = tuple(accept_versions) or (self.version,)
        parameters = operations.get_capabilities(accepted, sections)
        body = operations.capabilities_body(accepted, sections)
        read = self._document("GetCapabilities", parameters, body, capabilities_in)
        if read.version not in accepted:
            self._require_version(read.version)
        return read

    def describe(self, *type_names: str) -> Mapping[str, tuple[Property, ...]]:
        """The properties of feature types, by local name; of all types without names."""
        names = [operations.type_name(name) for name in type_names]
        parameters = operations.describe_feature_type(self.version, names)
        body = operations.describe_body(names)
        return self._document("DescribeFeatureType", parameters, body, feature_types_in)

    def stored_queries(self) -> tuple[StoredQuery, ...]:
        """The queries that are stored on the server; only 2.0.0 has them."""
        return self._stored("ListStoredQueries")

    def describe_stored_queries(self) -> tuple[StoredQuery, ...]:
        """The stored queries with their parameters."""
        return self._stored("DescribeStoredQueries")

    def hits(
        self,
        type_name: str | Sequence[str],
        *,
        feature_id: Sequence[str] = (),
        bbox: Bounds | None = None,
    ) -> int | None:
        """Number of features, of all types together; None if the server does not say.

        Args:
            type_name: A dataset's identifier, a feature type with its prefix, or several of them.
            feature_id: Identifiers of single features.
            bbox: West, south, east and north in degrees; only in 2.0.0.

        Raises:
            PortalError: The request failed.
        """
        types = operations.types_of(type_name)
        query = GetFeature(types, feature_id=feature_id, bbox=bbox, hits=True)
        url, body = self._feature_request(query)
        reply = self.client.whole(url, opening, body, _COUNT)
        root = self._root(reply)
        return None if root is None else _counted(root, reply)

    @contextlib.contextmanager
    def features(
        self,
        type_name: str | Sequence[str],
        *,
        properties: Properties = (),
        max_features: int | None = None,
        feature_id: Sequence[str] = (),
        bbox: Bounds | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Features as GML; of several types, `read_gml` reads one by its `feature_type`.

        Args:
            type_name: A dataset's identifier, a feature type with its prefix, or several of them.
            properties: Fields to return, of several types by their names; all without it.
            max_features: Maximum number; all without it.
            feature_id: Identifiers of single features. By POST they are a filter, which portals
                do not document: one that ignores it gives all features.
            bbox: West, south, east and north in degrees; only in 2.0.0.

        Yields:
            The body in chunks; its end is not checked.

        Raises:
            ConfigurationError: The version does not have a parameter.
            PortalError: The request failed, or the reply has another version.
        """
        types = operations.types_of(type_name, properties)
        query = GetFeature(types, max_features, feature_id, bbox)
        yield from self._streamed(*self._feature_request(query))

    @contextlib.contextmanager
    def page(self, link: str) -> Iterator[Iterator[bytes]]:
        """The next page of features, from the link in a collection.

        Raises:
            GmlRefused: The link leads to another host than the portal's.
            PortalError: The request failed.
        """
        yield from self._streamed(self._own_url(link), None)

    def url(self, type_name: str, properties: Sequence[str] = ()) -> str:
        """The address of a feature type's features."""
        query = GetFeature(operations.types_of(type_name, properties))
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
                f"the reply to {request} is not such a document of a WFS: {error}",
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
        """The root element, which must not be of another version."""
        try:
            root = root_of(head)
        except Unreadable:
            return None
        if root is not None:
            self._require_version(_NAMESPACES.get(root.namespace, self.version))
        return root

    def _require_version(self, version: str) -> None:
        if version.split(".")[:2] != self.version.split(".")[:2]:
            came = f"in WFS {version}" if version else "without saying in which version of WFS"
            known = next((v for v in VERSIONS if v.split(".")[:2] == version.split(".")[:2]), "")
            advice = f"; to read what it speaks, ask with version={known!r}" if known else ""
            raise RequestRefused(
                f"the portal answers {came} where {self.version} was asked for{advice}",
                portal=self.client.slug,
                url=operations.endpoint(self.client.address.base),
            )

    def _own_url(self, link: str) -> str:
        base = self.client.address.base
        try:
            url = urljoin(operations.endpoint(base), link)
        except ValueError:
            url = link
        if not self.client.address.contains(url):
            raise GmlRefused(
                "the WFS says that its next features are on another host than the portal's own, "
                "where nothing is asked and no credential goes",
                portal=self.client.slug,
                url=url,
            )
        return url


def _counted(root: Root, body: bytes) -> int | None:
    """The number in a reply to `hits`; None if the reply has features or anything else."""
    try:
        tags = {item.tag for item in tree_of(body)}
    except Unreadable:
        return None
    count = root.attributes.get("numberMatched") or root.attributes.get("numberOfFeatures") or ""
    empty = root.name == "FeatureCollection" and tags <= {"boundedBy"}
    return int(count) if empty and count.isascii() and count.isdigit() else None
