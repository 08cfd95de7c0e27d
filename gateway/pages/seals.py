"""`/seals` 积分存证: the latest signed heads of the ledgers, for everybody to look at and to copy."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.core.errors import DomainError
from gateway.pages.answers import Head
from gateway.pages.api import Api, Refused
from gateway.pages.refusals import friendly
from gateway.pages.rendering import page

_LEDGERS = {"civic": ("志愿积分", "Volunteer points"), "staff": ("工作人员积分链", "Staff points")}
_SHOWN = 6
"""Heads of each ledger: the latest and some before it. The API has them all."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ledger's name, in Chinese and English, and its latest heads, the last first."""

    code: str
    zh: str
    en: str
    heads: Sequence[Head]


class SealPages:
    """What the operator cannot take back once others have copied it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def routes(self) -> list[Route]:
        """`/seals`."""
        return [Route("/seals", friendly(self.seals))]

    async def seals(self, request: Request) -> Response:
        """The heads, what they are, and how anybody can check with them."""
        try:
            ledgers = [
                Sealed(code, *names, await self._api.heads(request, code, _SHOWN)) for code, names in _LEDGERS.items()
            ]
            keys = await self._api.seal_keys(request)
        except (DomainError, Refused):
            lines = ["请过几分钟再来看。账没有停，停的只是这个页面。"]
            return page("notice.html", 503, title="积分存证暂时打不开", lines=lines, reference=None)
        return page("seals.html", ledgers=ledgers, keys=keys)
