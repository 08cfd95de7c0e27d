"""The pages' style and script, under names that carry a hash of their content: a browser may keep them for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.core.errors import NotFound

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load: where it is served, and what it is."""

    path: str
    content: bytes
    media_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """The assets by the name of their file."""
    return {file.name: _asset(file) for file in sorted(_FOLDER.iterdir()) if file.suffix in _TYPES}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"/assets/{file.stem}.{digest}{file.suffix}", content, _TYPES[file.suffix])


def routes() -> list[Route]:
    """`/assets/…`."""
    return [Route("/assets/{name}", _serve)]


async def _serve(request: Request) -> Response:
    for asset in assets().values():
        if asset.path == request.url.path:
            return Response(asset.content, headers=_KEEP, media_type=asset.media_type)
    raise NotFound
