"""Pictures are decoded and written anew on arrival, so that EXIF, GPS and whatever else was hidden in the file is gone.

Pure and blocking: callers run it in a thread.
"""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from chassis.core.errors import DomainError, Invalid

FORMATS = ("JPEG", "PNG", "WEBP")
LONGEST_SIDE_PIXELS = 2560
THUMBNAIL_SIDE_PIXELS = 320
_JPEG_QUALITY = 85

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class PhotoTooLarge(DomainError):
    status, code = 413, "photo_too_large"
    title, title_zh = "The photo is too large", "照片过大"


class PhotoWrongType(DomainError):
    status, code = 415, "photo_wrong_type"
    title, title_zh = "Photos are JPEG, PNG or WebP", "照片须为 JPEG、PNG 或 WebP 格式"


class PhotoUnreadable(Invalid):
    code = "photo_unreadable"
    title, title_zh = "The photo cannot be read", "照片无法读取"


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it is kept: two JPEG files and the size of the larger one in pixels."""

    full: bytes
    thumbnail: bytes
    width: int
    height: int


def is_picture(content: bytes) -> bool:
    """Whether the file begins as a JPEG, PNG or WebP does: its declared type and name count for nothing."""
    return content.startswith(_SIGNATURES) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def reencode(content: bytes, *, max_pixels: int) -> Picture:
    """Decode a JPEG, PNG or WebP and write it as a plain JPEG, upright, at most 2560 pixels a side, and a thumbnail.

    Raises PhotoWrongType for other formats, PhotoTooLarge for more than `max_pixels` (a decompression bomb is refused
    from its header, before anything is decoded), PhotoUnreadable for a broken file.
    """
    if not is_picture(content):
        raise PhotoWrongType
    try:
        return _reencode(content, max_pixels)
    except Image.DecompressionBombError:
        raise PhotoTooLarge("The photo has far too many pixels.") from None
    except UnidentifiedImageError:
        raise PhotoUnreadable from None
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        OverflowError,
        MemoryError,
    ) as error:
        # What Pillow raises for files that are cut off or made to break decoders is not one class.
        raise PhotoUnreadable from error


def _reencode(content: bytes, max_pixels: int) -> Picture:
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise PhotoTooLarge(f"The photo has {width} × {height} pixels; at most {max_pixels} are taken.")
        # A JPEG of many pixels is decoded at a fraction of its size: a phone's 50 megapixels would take 150 MB.
        image.draft("RGB", (LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS))
        image.load()
        upright = ImageOps.exif_transpose(image)
        plain = _on_white(upright)
    plain.thumbnail((LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS), Image.Resampling.LANCZOS)
    full = _jpeg(plain)
    size = plain.size
    plain.thumbnail((THUMBNAIL_SIDE_PIXELS, THUMBNAIL_SIDE_PIXELS), Image.Resampling.LANCZOS)
    return Picture(full=full, thumbnail=_jpeg(plain), width=size[0], height=size[1])


def _on_white(image: Image.Image) -> Image.Image:
    """The pixels alone, as RGB in a new image: nothing that was attached to the old one comes along."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    plain = Image.new("RGB", image.size)
    plain.paste(image.convert("RGB"))
    return plain


def _jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return out.getvalue()
