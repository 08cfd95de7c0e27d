"""`/docs`: the OpenAPI document as a page to read and to try out.

Swagger UI (Apache-2.0) is served from files that the package `fastapi-swagger` brings along, so that the page works on
a machine without the internet and loads nothing from anywhere else.
"""

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.core.errors import NotFound

_KEEP = {"Cache-Control": "public, max-age=86400"}
# React sets styles on elements; the icons are data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>和谐北苑 · API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"><noscript>This page needs JavaScript; the document itself is
<a href="/openapi.json">/openapi.json</a>.</noscript></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  docExpansion: "none",
  validatorUrl: null,
});
"""
_TYPES = {
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


def routes() -> list[Route]:
    """`/docs` and what the page loads."""
    return [Route("/docs", _page), Route("/docs/{name}", _asset)]


async def _page(request: Request) -> Response:
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _TYPES:
        raise NotFound
    return Response(_content(name), headers=_KEEP | {"Content-Type": _TYPES[name]})


@cache
def _content(name: str) -> bytes:
    return _START.encode() if name == "start.js" else (files("fastapi_swagger") / "resources" / name).read_bytes()
