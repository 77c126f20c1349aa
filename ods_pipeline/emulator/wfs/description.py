"""DescribeFeatureType: the declared types of a dataset as an XML schema."""

from __future__ import annotations

from ods_pipeline.emulator.datasets.dataset import Dataset, Field
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.feature_types import PREFIX, found, layers
from ods_pipeline.emulator.wfs.operation_request import Asked
from ods_pipeline.emulator.wfs.tags import tag
from ods_pipeline.emulator.wfs.xml import PROLOGUE, Dialect, namespace

TYPES = {
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


def description(request: Request, state: State, asked: Asked) -> list[bytes]:
    """The schema of the types asked for, or of all."""
    names = [wanted.type_name for wanted in asked.wanted]
    datasets = [found(state, name) for name in names] if names else layers(state)
    dialect = asked.dialect
    imported = tag("xsd:import", namespace=dialect.gml, schemaLocation=dialect.gml_schema)
    schema = tag(
        "xsd:schema",
        imported,
        *(_declared(dataset, dialect) for dataset in datasets),
        xmlns__xsd="http://www.w3.org/2001/XMLSchema",
        xmlns__gml=dialect.gml,
        xmlns__ods=namespace(request.base),
        targetNamespace=namespace(request.base),
        elementFormDefault="qualified",
    )
    return [(PROLOGUE + schema + "\n").encode()]


def _declared(dataset: Dataset, dialect: Dialect) -> str:
    name = dataset.dataset_id
    sequence = tag("xsd:sequence", *map(_property, dataset.fields))
    extension = tag("xsd:extension", sequence, base="gml:AbstractFeatureType")
    content = tag("xsd:complexContent", extension)
    return tag("xsd:complexType", content, name=f"{name}Type") + tag(
        "xsd:element",
        name=name,
        type=f"{PREFIX}{name}Type",
        substitutionGroup=dialect.feature_base,
    )


def _property(field: Field) -> str:
    most = "unbounded" if field.multivalued else "1"
    kind = "xsd:string" if field.precision else TYPES[field.type]
    return tag(
        "xsd:element",
        name=field.name,
        type=kind,
        minOccurs="0",
        maxOccurs=most,
        nillable="true",
    )
