"""Which datasets are feature types, and which of their fields are asked for; no XML here."""

from __future__ import annotations

from dataclasses import dataclass

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.wfs.exception_report import invalid
from ods_pipeline.emulator.wfs.operation_request import LandingRequest

GEOMETRIES = ("geo_point_2d", "geo_shape")
PREFIX = "ods:"


@dataclass(frozen=True)
class Layer:
    """A dataset and the places of the fields wanted of it."""

    dataset: Dataset
    places: tuple[int, ...]


def geographic(dataset: Dataset) -> bool:
    """Only what has a geometry is a layer."""
    return dataset.has_records and any(f.type in GEOMETRIES for f in dataset.fields)


def layers(state: State) -> list[Dataset]:
    """All feature types of a portal."""
    return [dataset for dataset in state.datasets() if geographic(dataset)]


def found(state: State, type_name: str) -> Dataset:
    """The dataset of a feature type; the prefix is text and may be left out."""
    dataset = state.find(type_name.removeprefix(PREFIX))
    if dataset is None or not geographic(dataset):
        raise invalid("typeName", f"Feature type {type_name} does not exist.")
    return dataset


def layer(state: State, wanted: LandingRequest) -> Layer:
    """A feature type with the properties wanted of it, in the order of the fields."""
    dataset = found(state, wanted.type_name)
    every = range(len(dataset.fields))
    if not wanted.properties or "*" in wanted.properties:
        return Layer(dataset, tuple(every))
    names = {_bare(dataset, text) for text in wanted.properties}
    return Layer(dataset, tuple(i for i in every if dataset.fields[i].name in names))


def _bare(dataset: Dataset, text: str) -> str:
    """A property may be ``ods:<dataset>/<field>``, ``ods:<field>`` or ``<field>``."""
    name = text.removeprefix(PREFIX).removeprefix(dataset.dataset_id + "/").removeprefix(PREFIX)
    if name not in {field.name for field in dataset.fields}:
        raise invalid("propertyName", f"Property {text} does not exist.")
    return name
