"""`/` and `/privacy`: what runs here, and what happens to people's data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.core.errors import DomainError
from gateway.pages.api import Api, Refused
from gateway.pages.refusals import friendly
from gateway.pages.rendering import page

Services = Callable[[], Awaitable[Mapping[str, Mapping[str, str]]]]
"""Every service by name, and its `status`: `ok` where it can work just now."""

_PARTS = {
    "identity": ("居民与岗位", "People, households and sign-in"),
    "orders": ("接诉即办", "Reports and work orders"),
    "events": ("社区活动", "Activities"),
    "points": ("双向积分", "Two-way points"),
}


@dataclass(frozen=True, slots=True)
class DemoCode:
    """A QR code of the demo town, to be tried from the front page."""

    code: str
    place: str


class FrontPages:
    """The pages that are about the installation itself."""

    def __init__(self, api: Api, services: Services, demo_codes: Sequence[DemoCode]) -> None:
        self._api = api
        self._services = services
        self._demo_codes = demo_codes

    def routes(self) -> list[Route]:
        """`/` and `/privacy`."""
        return [Route("/", friendly(self.front)), Route("/privacy", friendly(self.privacy))]

    async def front(self, request: Request) -> Response:
        """What runs here and where its documents are."""
        services = [
            (*_PARTS.get(name, (name, name)), said["status"] == "ok") for name, said in (await self._services()).items()
        ]
        return page("front.html", services=services, demo_codes=self._demo_codes)

    async def privacy(self, request: Request) -> Response:
        """隐私告知: the notice in full."""
        try:
            notice = await self._api.privacy_notice(request)
        except (DomainError, Refused):
            lines = ["全文暂时打不开，请过几分钟再来。", "您的手机号和所写内容加密保存，只有办理的工作人员能看到。"]
            return page("notice.html", 503, title="隐私告知", lines=lines, reference=None)
        return page("privacy.html", notice=notice)
