"""Small pictures of images: what can be seen is shown, and what cannot harms nobody."""

import io
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest

from ods_pipeline.emulator.datasets.file_values import picture
from ods_pipeline.lake.thumbnails import data_uri, jpeg


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is of this size, and holds little."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def large(format: str, mode: str) -> bytes:
    file = io.BytesIO()
    PIL.Image.effect_noise((1_500, 900), 80).convert(mode).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "mode"),
    [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "1"), ("GIF", "P"), ("WEBP", "L")],
)
def test_an_image_is_shown_small(tmp_path: Path, format: str, mode: str) -> None:
    (tmp_path / "image").write_bytes(large(format, mode))
    with PIL.Image.open(io.BytesIO(jpeg(tmp_path / "image"))) as shown:
        assert (shown.format, max(shown.size)) == ("JPEG", 96)
    assert data_uri(tmp_path / "image").startswith("data:image/jpeg;base64,")
    assert len(data_uri(tmp_path / "image")) < 11_000


NO_IMAGES = {
    "a bomb": png_of(50_000, 50_000),
    "cut off": large("PNG", "RGB")[:5_000],
    "damaged": png_of(4_000, 4_000),
    "a drawing": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://evil.test/'/></svg>",
    "a page": b"<!doctype html>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_sound_image_is_not_shown(tmp_path: Path, kind: str) -> None:
    (tmp_path / "image").write_bytes(NO_IMAGES[kind])
    assert data_uri(tmp_path / "image") == ""


def test_a_file_that_is_not_there_is_not_shown(tmp_path: Path) -> None:
    assert data_uri(tmp_path / "image") == ""


def test_the_emulators_pictures_are_images(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(picture("a"))
    with PIL.Image.open(tmp_path / "image") as image:
        image.load()
        assert image.size == (24, 16)
