"""The data folder: which names can be used, and how the others are refused."""

from pathlib import Path

import pytest

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.data_folder import data_folder


@pytest.mark.parametrize("name", ["data", "/a b/c", "x*y", "x?y", "x[y]", "x\\y", "é", "日本"])
def test_k12_a_folder_of_any_text_is_a_data_folder(name: str) -> None:
    assert data_folder(name) == Path(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/data/caf\udce9", r"/data/caf\\udce9"),
        ("\udcff", r"\\udcff"),
        ("~/\udcc3", r"~/\\udcc3"),
        ("s3://\udcff", r"s3://\\udcff"),
        ("a\0b", r"a\\0b"),
    ],
)
def test_k12_a_name_that_is_no_text_is_refused_in_one_sentence(name: str, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the data folder {shown} has a name") as caught:
        data_folder(name)
    assert str(caught.value).endswith("set ODS_DATA_DIR to another folder")
    str(caught.value).encode()


def test_k12_a_folder_within_one_whose_name_is_no_text_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(ConfigurationError, match=r"caf\\udce9/data has a name that is not UTF-8"):
        data_folder(None)
    monkeypatch.setenv("HOME", str(odd))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        data_folder("~/data")


def test_k12_a_folder_that_was_removed_is_no_reason_to_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert data_folder("data") == Path("data")
    monkeypatch.chdir(tmp_path)
