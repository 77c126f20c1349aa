"""Small pictures of kept images, to see what they are; drawn by Pillow, of the extra `map`.

An image of a portal is hostile until it was read: only plain formats, and sizes within bounds.
Showing them does not belong here.
"""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_SIDE, _QUALITY = 96, 60
_BYTES, _PIXELS, _SHOWN_BYTES = 50_000_000, 60_000_000, 8_000


def data_uri(path: Path) -> str:
    """A small JPEG of an image as a `data:` URI; empty where there is none to show.

    Args:
        path: A file; one that is no image of a known format, or too large, is not shown.
    """
    picture = jpeg(path)
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else ""


def jpeg(path: Path) -> bytes:
    """A small JPEG of an image; empty where there is none to show."""
    import PIL.Image

    try:
        if path.stat().st_size > _BYTES:
            return b""
        # What is odd about an image does not matter to somebody who only wants to see it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path, formats=_FORMATS) as image:
                # Known from its head, before anything is unpacked.
                if image.width * image.height > _PIXELS:
                    return b""
                image.draft("RGB", (_SIDE, _SIDE))
                image.thumbnail((_SIDE, _SIDE))
                picture = io.BytesIO()
                _flat(image).save(picture, format="JPEG", quality=_QUALITY)
    except Exception:  # Decoders raise whatever a damaged file leads them to.
        return b""
    found = picture.getvalue()
    return found if len(found) <= _SHOWN_BYTES else b""


def _flat(image: Image) -> Image:
    """The image on white, where it shows through: JPEG knows no transparency."""
    import PIL.Image

    clear = image.convert("RGBA")
    white = PIL.Image.new("RGBA", clear.size, "white")
    return PIL.Image.alpha_composite(white, clear).convert("RGB")
