"""The portal: HTTP to the Explore API, and its replies as Arrow tables of the declared types.

The types that signatures of public methods mention can be imported from here; each is imported when
it is first used. Nothing in this folder knows the lake's files, the warehouse or Dagster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ods_pipeline.portal.auth.consent import Consent
    from ods_pipeline.portal.auth.grant import ClientAuth
    from ods_pipeline.portal.auth.oauth2 import Placement
    from ods_pipeline.portal.auth.renewal import Renewal
    from ods_pipeline.portal.auth.store import TokenStore
    from ods_pipeline.portal.catalog.datasets import Datasets
    from ods_pipeline.portal.exports.export import Format
    from ods_pipeline.portal.exports.parameters import CatalogParameters, ExportParameters
    from ods_pipeline.portal.exports.record_stream import RecordStream
    from ods_pipeline.portal.files.remote_file import RemoteFile
    from ods_pipeline.portal.gml.frame import Source
    from ods_pipeline.portal.gml.geometry.axes import AxisOrder
    from ods_pipeline.portal.http.address import Address
    from ods_pipeline.portal.http.signing import Credentials, Signer
    from ods_pipeline.portal.wfs.capabilities import Capabilities, FeatureType
    from ods_pipeline.portal.wfs.description import Property, StoredQuery
    from ods_pipeline.portal.wfs.operations import Bounds, Method, Properties, Version
    from ods_pipeline.portal.wfs.service import Wfs

_HOMES = {
    "Address": "http.address",
    "AxisOrder": "gml.geometry.axes",
    "Bounds": "wfs.operations",
    "Capabilities": "wfs.capabilities",
    "CatalogParameters": "exports.parameters",
    "ClientAuth": "auth.grant",
    "Consent": "auth.consent",
    "Credentials": "http.signing",
    "Datasets": "catalog.datasets",
    "ExportParameters": "exports.parameters",
    "FeatureType": "wfs.capabilities",
    "Format": "exports.export",
    "Method": "wfs.operations",
    "Placement": "auth.oauth2",
    "Properties": "wfs.operations",
    "Property": "wfs.description",
    "RecordStream": "exports.record_stream",
    "RemoteFile": "files.remote_file",
    "Renewal": "auth.renewal",
    "Signer": "http.signing",
    "Source": "gml.frame",
    "StoredQuery": "wfs.description",
    "TokenStore": "auth.store",
    "Version": "wfs.operations",
    "Wfs": "wfs.service",
}

__all__ = [
    "Address",
    "AxisOrder",
    "Bounds",
    "Capabilities",
    "CatalogParameters",
    "ClientAuth",
    "Consent",
    "Credentials",
    "Datasets",
    "ExportParameters",
    "FeatureType",
    "Format",
    "Method",
    "Placement",
    "Properties",
    "Property",
    "RecordStream",
    "RemoteFile",
    "Renewal",
    "Signer",
    "Source",
    "StoredQuery",
    "TokenStore",
    "Version",
    "Wfs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
