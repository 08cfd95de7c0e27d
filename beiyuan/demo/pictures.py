"""Drawn pictures that stand for photos in the demo town: no photo of a real place or person is used."""

from io import BytesIO

from PIL import Image, ImageDraw

from beiyuan.demo import names

_SIZE = (960, 720)


def picture(key: str, *, done: bool) -> bytes:
    """A JPEG of a wall with a door: cracked, or (`done`) mended. The colours depend on `key` alone."""
    red, green, blue = names.device(key)[:3]
    wall = (150 + red % 80, 150 + green % 80, 140 + blue % 80)
    image = Image.new("RGB", _SIZE, wall)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 600, 960, 720), fill=(120, 115, 110))
    draw.rectangle((360, 200, 600, 600), fill=(90, 70, 55), outline=(60, 45, 35), width=8)
    draw.ellipse((560, 400, 580, 420), fill=(220, 200, 120))
    if done:
        draw.line((700, 330, 770, 400, 900, 240), fill=(30, 140, 60), width=28, joint="curve")
    else:
        draw.line((80, 60, 160, 190, 120, 280, 240, 420, 200, 560), fill=(50, 45, 45), width=10, joint="curve")
        draw.line((160, 190, 260, 240), fill=(50, 45, 45), width=7)
    draw.text((24, 664), "demo", fill="white", font_size=36)
    out = BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()
