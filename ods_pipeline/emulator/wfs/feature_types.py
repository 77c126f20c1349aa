"""The feature types of a portal: which datasets they are, and DescribeFeatureType.

Features themselves are selected and written elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from ods_pipeline.emulator.datasets.dataset import Dataset, Field
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import invalid_parameter
from ods_pipeline.emulator.wfs.operation_request import OperationRequest, TypeQuery
from ods_pipeline.emulator.wfs.xml import XML_DECLARATION, WfsVersion, namespace, tag

GEOMETRIES = ("geo_point_2d", "geo_shape")
TYPE_PREFIX = "ods:"


@dataclass(frozen=True)
class Layer:
    """A feature type and the positions of its requested fields."""

    dataset: Dataset
    positions: tuple[int, ...]


def has_geometry(dataset: Dataset) -> bool:
    """Whether a dataset is a feature type: it has records and a geometry field."""
    return dataset.has_records and any(f.type in GEOMETRIES for f in dataset.fields)


def feature_types(state: State) -> list[Dataset]:
    """All feature types of a portal."""
    return [dataset for dataset in state.datasets() if has_geometry(dataset)]


def feature_type(state: State, type_name: str) -> Dataset:
    """The dataset of a feature type, whose prefix may be left out."""
    dataset = state.find(type_name.removeprefix(TYPE_PREFIX))
    if dataset is None or not has_geometry(dataset):
        raise invalid_parameter("typeName", f"Feature type {type_name} does not exist.")
    return dataset


def layer(state: State, query: TypeQuery) -> Layer:
    """A feature type with the requested properties, in the order of the fields."""
    dataset = feature_type(state, query.type_name)
    every = range(len(dataset.fields))
    if not query.properties or "*" in query.properties:
        return Layer(dataset, tuple(every))
    names = {_property_name(dataset, text) for text in query.properties}
    return Layer(dataset, tuple(i for i in every if dataset.fields[i].name in names))


def _property_name(dataset: Dataset, text: str) -> str:
    """A property may be ``ods:<dataset>/<field>``, ``ods:<field>`` or ``<field>``."""
    name = (
        text.removeprefix(TYPE_PREFIX)
        .removeprefix(dataset.dataset_id + "/")
        .removeprefix(TYPE_PREFIX)
    )
    if name not in {field.name for field in dataset.fields}:
        raise invalid_parameter("propertyName", f"Property {text} does not exist.")
    return name


XSD_TYPES = {
    "text": "xsd:string",
    "int": "xsd:long",
    "double": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "boolean": "xsd:boolean",
    "geo_point_2d": "gml:PointPropertyType",
    "geo_shape": "gml:GeometryPropertyType",
    "file": "xsd:string",
    "json_blob": "xsd:string",
}


def describe_feature_type(
    request: Request, state: State, operation: OperationRequest
) -> list[bytes]:
    """The schema of the requested types, or of all."""
    names = [query.type_name for query in operation.types]
    datasets = [feature_type(state, name) for name in names] if names else feature_types(state)
    version = operation.version
    imported = tag("xsd:import", namespace=version.gml, schemaLocation=version.gml_schema)
    schema = tag(
        "xsd:schema",
        imported,
        *(_type_schema(dataset, version) for dataset in datasets),
        xmlns__xsd="http://www.w3.org/2001/XMLSchema",
        xmlns__gml=version.gml,
        xmlns__ods=namespace(request.base),
        targetNamespace=namespace(request.base),
        elementFormDefault="qualified",
    )
    return [(XML_DECLARATION + schema + "\n").encode()]


def _type_schema(dataset: Dataset, version: WfsVersion) -> str:
    name = dataset.dataset_id
    sequence = tag("xsd:sequence", *map(_property_schema, dataset.fields))
    extension = tag("xsd:extension", sequence, base="gml:AbstractFeatureType")
    content = tag("xsd:complexContent", extension)
    return tag("xsd:complexType", content, name=f"{name}Type") + tag(
        "xsd:element",
        name=name,
        type=f"{TYPE_PREFIX}{name}Type",
        substitutionGroup=version.feature_base,
    )


def _property_schema(field: Field) -> str:
    most = "unbounded" if field.multivalued else "1"
    kind = "xsd:string" if field.precision else XSD_TYPES[field.type]
    return tag(
        "xsd:element",
        name=field.name,
        type=kind,
        minOccurs="0",
        maxOccurs=most,
        nillable="true",
    )
