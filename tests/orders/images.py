"""Pictures for tests."""

from io import BytesIO
from typing import Any

from PIL import Image

GPS_IFD, ORIENTATION, DESCRIPTION = 0x8825, 0x0112, 0x010E


def image(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (width, height), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, width // 2, height))
    return picture.convert(mode)


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as a file."""
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def photo(kind: str = "JPEG") -> bytes:
    """Some photo."""
    return encoded(image(), kind)


def photo_with_secrets(orientation: int = 1) -> bytes:
    """A JPEG that says where and by whom it was taken, with a thumbnail's worth of bytes after its end."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[DESCRIPTION] = "SECRET-WORDS"
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (39.0, 54.0, 0.0), 3: "E", 4: (116.0, 40.0, 0.0)})
    return encoded(image(), exif=exif, comment=b"SECRET-COMMENT") + b"SECRET-TRAILER"


def decoded(content: bytes) -> Image.Image:
    """The picture of a file."""
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture
