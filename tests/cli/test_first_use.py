"""What a new user meets: no address, an empty one, what is held, and the next step by name."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator
from tests import person
from tests.desk import FIELDS, rows

Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        yield emulator


@pytest.fixture
def typed(portal: Emulator, tmp_path: Path) -> Typed:
    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return person.typed(tmp_path, *words, **{"ODS_PORTAL": portal.url, **settings})

    return run


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["--portal", "", "sync"], {}, "--portal is empty"),
        (["--portal", "  ", "plan"], {}, "--portal is empty"),
        (["sync"], {"ODS_PORTAL": ""}, "ODS_PORTAL is empty"),
        (["--data-dir", "", "sync"], {}, "--data-dir is empty"),
        (["--warehouse", "", "plan"], {}, "--warehouse is empty"),
    ],
)
def test_u3_an_empty_value_is_an_error_and_loads_nothing(
    typed: Typed, tmp_path: Path, words: list[str], settings: dict[str, str], said: str
) -> None:
    done = typed(*words, **settings)
    assert done.returncode == 2
    assert said in done.stderr
    assert not any(tmp_path.iterdir())


def test_u3_a_script_without_an_address_does_not_load_the_sample_portal(tmp_path: Path) -> None:
    done = person.typed(tmp_path, "sync")
    assert done.returncode == 2
    assert "`--portal sample` for the sample portal" in done.stderr
    assert not any(tmp_path.iterdir())
    asked = person.typed(tmp_path, "--portal", "sample", "plan")
    assert asked.returncode == 0
    assert "using the sample portal" in asked.stderr


def test_u6_what_is_held_says_how_this_dataset_is_accepted_until_it_is(
    typed: Typed, portal: Emulator
) -> None:
    portal.publish("a town", fields=FIELDS, records=rows(9))
    assert typed("sync").returncode == 0
    portal.publish("a town", records=rows(1))
    held = typed("sync")
    assert held.returncode == 1
    assert "a town: to accept it, ods-pipeline sync 'a town' --accept" in held.stdout
    assert "launchpad" not in held.stdout
    accepted = typed("sync", "a town", "--accept")
    assert accepted.returncode == 0
    assert "--accept" not in accepted.stdout


def test_u7_a_withdrawn_dataset_is_held_and_marked_whether_it_is_named_or_not(
    typed: Typed, portal: Emulator
) -> None:
    portal.publish("gone", fields=FIELDS, records=rows(2))
    assert typed("sync", "gone").returncode == 0
    portal.withdraw("gone")
    for words in (["gone"], []):
        done = typed("sync", *words)
        assert done.returncode == 0, done.stderr
        assert "held" in done.stdout


def test_u13_an_address_without_a_scheme_hints_at_plain_http(
    typed: Typed, portal: Emulator
) -> None:
    done = typed("plan", ODS_PORTAL=portal.url.removeprefix("http://"))
    assert done.returncode == 2
    assert "give its address with http://" in done.stderr


def test_u8_records_say_what_their_geometries_are() -> None:
    import geopandas

    from ods_pipeline.portal.portal import Portal

    with Emulator() as emulator:
        for format in ("parquet", "csv"):
            table = Portal(emulator.url).records("public-art", format)  # type: ignore[arg-type]
            frame = geopandas.GeoDataFrame.from_arrow(table)
            assert frame.crs.to_string() == "OGC:CRS84"
            assert frame.geometry.notna().any()
