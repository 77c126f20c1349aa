"""The extent and the scale of a small map: round, right, and nothing where there is none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.lake.map_scale import bar, extent

PARIS = (2.224, 48.815, 2.47, 48.902)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (PARIS, "2.22–2.47° E, 48.81–48.90° N"),
        ((-123.2, 49.2, -123.0, 49.3), "123.20–123.00° W, 49.20–49.30° N"),
        ((-180, -55, 180, 83.6), "180° W – 180° E, 55° S – 84° N"),
        ((2.5, 48, 2.5, 48), "2.5000° E, 48.0000° N"),
        ((1e300, 0, 1e300, 0), ""),
        ((math.nan, 0, 1, 1), ""),
    ],
)
def test_an_extent_has_as_many_digits_as_tell_its_ends_apart(
    bounds: tuple[float, ...], text: str
) -> None:
    assert extent(bounds) == text


@pytest.mark.parametrize(
    ("bounds", "width", "label"),
    [
        (PARIS, 0.25, "5 km"),
        ((2.35, 48.85, 2.351, 48.851), 0.001, "20 m"),
        ((-5.2, 41.3, 9.6, 51.1), 15, "200 km"),
        ((-0.1, -0.1, 0.1, 0.1), 0.2, "5 km"),
    ],
)
def test_a_bar_is_a_round_distance(bounds: tuple[float, ...], width: float, label: str) -> None:
    found = bar(bounds, width)
    assert found
    assert found.label == label
    number, unit = label.split()
    metres = float(number) * (1000 if unit == "km" else 1)
    middle = math.radians((bounds[1] + bounds[3]) / 2)
    assert found.degrees * 111_320 * math.cos(middle) == pytest.approx(metres)


@pytest.mark.parametrize(
    "bounds", [(-180, -55, 180, 83), (-10, 35, 30, 65), (0, -60, 1, 60), (1e300, 0, 1e300, 1)]
)
def test_a_map_without_one_scale_has_no_bar(bounds: tuple[float, ...]) -> None:
    assert bar(bounds, 10) is None


EDGES = st.lists(st.floats(allow_nan=True), min_size=4, max_size=4)


@given(EDGES, st.floats())
def test_any_numbers_have_an_answer(bounds: list[float], width: float) -> None:
    extent(bounds)
    found = bar(bounds, min(width, 720))
    assert found is None or 0 < found.degrees <= 0.31 * width
