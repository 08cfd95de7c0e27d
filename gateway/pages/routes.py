"""Puts the pages together."""

from collections.abc import Sequence

from starlette.routing import Route

from gateway.calls import Calls
from gateway.pages import assets
from gateway.pages.api import Api
from gateway.pages.counter.clerks import ClerkPages
from gateway.pages.counter.pages import CounterPages
from gateway.pages.counter.signin import SignInPages
from gateway.pages.front import DemoCode, FrontPages, Services
from gateway.pages.report import ReportPages
from gateway.pages.seals import SealPages
from gateway.pages.tracking import TrackingPages


def page_routes(calls: Calls, services: Services, demo_codes: Sequence[DemoCode] = ()) -> list[Route]:
    """The residents' pages: `/`, `/privacy`, `/q/{code}`, `/t/{token}`, `/seals`; the shops', `/shop`; what they load.

    `services` says which services can work, for the front page; `demo_codes` are listed there.
    """
    api = Api(calls)
    return [
        *FrontPages(api, services, demo_codes).routes(),
        *ReportPages(api).routes(),
        *TrackingPages(api).routes(),
        *SealPages(api).routes(),
        *SignInPages(calls).routes(),
        *CounterPages(calls).routes(),
        *ClerkPages(calls).routes(),
        *assets.routes(),
    ]
