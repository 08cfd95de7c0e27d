"""Turns a template into a page."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from chassis.core import clock
from chassis.core.beijing import day_of
from gateway.pages import times, wording
from gateway.pages.answers import Visit
from gateway.pages.assets import assets

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PARTS = re.compile(r"(?<=[区园寓院楼])(?=\d)|(?<=单元)|(?<=社区)")
# Pages are made for one reader at one moment: nothing between us and them keeps a copy.
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
PRIVATE = {"X-Robots-Tag": "noindex, nofollow"}
"""For pages that are nobody's but the reader's."""


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(wording=wording, asset=lambda name: assets()[name].path)
    environment.filters.update(
        moment=_moment,
        deadline=_deadline,
        span=_span,
        breakable=_breakable,
        clock_time=times.clock_text,
        near=_near,
        day=_day,
    )
    return environment


def _moment(at: datetime) -> str:
    return times.moment_text(at, now=clock.now())


def _near(at: datetime) -> str:
    return times.near_text(at, now=clock.now())


def _deadline(at: datetime) -> str:
    return times.deadline_text(at, now=clock.now())


def _span(visit: Visit) -> str:
    return times.span_text(visit.from_, visit.to, now=clock.now())


def _day(day: date) -> str:
    return times.day_text(day, today=day_of(clock.now()))


def _breakable(name: str) -> Markup:
    """The name of a place, which may be broken between its parts: 槐安里南区 1号楼 1单元."""
    return Markup("<wbr>").join(part for part in _PARTS.split(name) if part)


_TEMPLATES = _environment()


def page(template: str, status: int = 200, headers: dict[str, str] | None = None, /, **values: Any) -> HTMLResponse:
    """A page from `templates/`; every value in it is escaped."""
    html = _TEMPLATES.get_template(template).render(values)
    return HTMLResponse(html, status, headers=_HEADERS | (headers or {}))
