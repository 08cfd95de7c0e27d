"""A code to be scanned."""

import io

import segno


def qr_of(code: str) -> bytes:
    """The digits of a code as a QR code: an SVG document without a size of its own."""
    out = io.BytesIO()
    segno.make(code, error="m", micro=False).save(
        out, kind="svg", scale=8, border=4, dark="#000", light="#fff", omitsize=True
    )
    return out.getvalue()
