"""Photos: what is hidden in a file never reaches anybody, and no file brings the service down."""

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.core.pictures import (
    LONGEST_SIDE_PIXELS,
    THUMBNAIL_SIDE_PIXELS,
    PhotoTooLarge,
    PhotoUnreadable,
    PhotoWrongType,
    Picture,
    reencode,
)
from tests.orders.images import ORIENTATION, decoded, encoded, image, photo, photo_with_secrets

MAX_PIXELS = 4_000_000

# Pillow warns of oddities in metadata; here that is not what matters.
pytestmark = pytest.mark.filterwarnings("ignore")


def clean(content: bytes) -> Picture:
    return reencode(content, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photos_of_every_kind_that_phones_make_are_taken(kind: str) -> None:
    picture = clean(photo(kind))
    full = decoded(picture.full)
    assert (full.format, full.size, (picture.width, picture.height)) == ("JPEG", (64, 48), (64, 48))
    red, green, blue = full.convert("RGB").getpixel((8, 24))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


def test_nobody_learns_from_a_photo_where_or_by_whom_it_was_taken() -> None:
    assert b"SECRET-WORDS" in photo_with_secrets()
    picture = clean(photo_with_secrets())
    for content in (picture.full, picture.thumbnail):
        assert b"SECRET" not in content
        assert dict(decoded(content).getexif()) == {}
        assert b"Exif" not in content


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_lose_what_was_hidden_in_them_too(kind: str) -> None:
    exif = decoded(photo_with_secrets()).getexif()
    hiding = encoded(image(), kind, exif=exif)
    assert b"SECRET-WORDS" in hiding
    assert b"SECRET" not in clean(hiding).full


def test_a_photo_taken_sideways_is_shown_upright() -> None:
    picture = clean(photo_with_secrets(orientation=6))
    assert (picture.width, picture.height) == (48, 64)
    full = decoded(picture.full)
    assert ORIENTATION not in full.getexif()
    top, bottom = full.getpixel((24, 8)), full.getpixel((24, 56))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]


def test_large_photos_are_made_smaller_and_thumbnails_small() -> None:
    picture = reencode(encoded(image(6000, 3000)), max_pixels=20_000_000)
    assert (picture.width, picture.height) == (LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS // 2)
    assert max(decoded(picture.thumbnail).size) == THUMBNAIL_SIDE_PIXELS


def test_a_see_through_drawing_stands_on_white() -> None:
    drawing = image(mode="RGBA")
    drawing.putalpha(0)
    assert decoded(clean(encoded(drawing, "PNG")).full).getpixel((8, 8)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK", "LA"])
def test_photos_in_unusual_colours_are_taken(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = image(mode="L").convert("I;16") if mode == "I;16" else image(mode=mode)
    assert clean(encoded(picture, kind)).width == 64


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be enormous."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000, 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [2_001, 30_000, 2_000_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(PhotoTooLarge):
        clean(png_bomb(side, side))


def test_a_bomb_in_a_texts_clothing_is_refused() -> None:
    text = b"note\0\0" + zlib.compress(b"\0" * 80_000_000, 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    whole = photo("PNG")
    with pytest.raises(PhotoUnreadable):
        clean(whole[:33] + chunk + whole[33:])


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"GIF89a" + b"\0" * 100, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"RIFF"],
)
def test_what_is_not_a_photo_is_refused(content: bytes) -> None:
    with pytest.raises(PhotoWrongType):
        clean(content)


def test_a_file_that_only_begins_like_a_photo_is_refused() -> None:
    for content in (b"\xff\xd8\xff", photo()[:-200], photo("PNG")[:60], photo("WEBP")[:40]):
        with pytest.raises(PhotoUnreadable):
            clean(content)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_no_broken_file_is_anything_but_a_photo_or_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(photo(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PhotoWrongType, PhotoTooLarge, PhotoUnreadable):
        clean(bytes(content))
