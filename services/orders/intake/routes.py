"""HTTP of reports, the taxonomy, the page of a QR code, and the private link."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from chassis.core.schema import Nothing, Text
from chassis.core.tokens import InvalidToken
from chassis.web.deps import SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.orders.callback import actions as callback
from services.orders.callback.errors import AlreadyAnswered, OwnCallback
from services.orders.callback.schemas import AnswerIn
from services.orders.deps import DeviceDep, SettingsDep, StorageDep
from services.orders.intake import actions, queries
from services.orders.intake.actions import Sender
from services.orders.intake.errors import (
    AlreadyReported,
    SubItemUnknown,
    TooManyAdditions,
    TooManyReports,
    TrackingUnknown,
    VisitImpossible,
)
from services.orders.intake.schemas import (
    AdditionIn,
    ContactOut,
    PlacePage,
    ReportIn,
    ReportOut,
    TaxonomyOut,
    TrackOut,
    WithdrawIn,
)
from services.orders.intake.tables import Report
from services.orders.permissions import Anybody, MayReadContact
from services.orders.photos.errors import PhotoNotFound, PhotoUnknown
from services.orders.photos.queries import attached_photo
from services.orders.photos.routes import JPEG, Size, picture
from services.orders.places.errors import QrCodeRevoked, QrCodeUnknown
from services.orders.workflow import actions as workflow
from services.orders.workflow.errors import OrderNotFound, WrongState
from services.orders.workflow.schemas import OrderOut

router = Router(prefix="/api/orders", tags=["reports"])
tracking = Router(prefix="/api/orders/track", tags=["private link"])


@router.get("/taxonomy")
async def show_taxonomy() -> TaxonomyOut:
    """What can be reported: categories, items and sub-items."""
    return queries.taxonomy()


@router.get("/places/{code}", responses=problems(QrCodeUnknown, QrCodeRevoked))
async def show_place(code: Annotated[str, Text(40)], session: SessionDep) -> PlacePage:
    """What the page of a QR code shows: the place, likely sub-items, and what is reported there already."""
    return await queries.place_page(session, code)


@router.post(
    "/reports",
    status_code=201,
    responses=problems(
        InvalidToken,
        QrCodeUnknown,
        QrCodeRevoked,
        SubItemUnknown,
        VisitImpossible,
        AlreadyReported,
        TooManyReports,
        PhotoUnknown,
    ),
)
async def take_report(
    body: ReportIn,
    actor: Anybody,
    device: DeviceDep,
    settings: SettingsDep,
    session: SessionDep,
    vault: VaultDep,
    response: Response,
) -> ReportOut:
    """码上说: report something at a place, with or without an account."""
    receipt = await actions.take_report(session, vault, settings, Sender(actor, device), body)
    order = OrderOut.of(receipt.order)
    response.headers["Cache-Control"] = "no-store"
    return ReportOut(
        id=order.id,
        number=order.number,
        state=order.state,
        subitem_code=order.subitem_code,
        subitem_name=order.subitem_name,
        urgent=order.urgent,
        place=order.place,
        created_at=order.created_at,
        contact_by=order.contact_by,
        due_at=order.due_at,
        tracking_url=f"/t/{receipt.token}" if receipt.token else None,
    )


@router.get("/{order_id}/contact", responses=problems(OrderNotFound, OwnCallback))
async def show_contact(
    order_id: UUID, actor: MayReadContact, session: SessionDep, vault: VaultDep, response: Response
) -> ContactOut:
    """Whom to call, and their words: for the current handler and call-back agents; the reading is logged."""
    response.headers["Cache-Control"] = "no-store"
    return await actions.read_contact(session, vault, actor, order_id)


async def _report(
    token: Annotated[str, Path(min_length=1, max_length=100)], session: SessionDep, response: Response
) -> Report:
    """The report of the private link; whatever is answered is not to be kept or told on by the browser."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return await queries.report_by_token(session, token)


LinkedReport = Annotated[Report, Depends(_report)]


@tracking.get("/{token}", responses=problems(TrackingUnknown))
async def track(report: LinkedReport, session: SessionDep, vault: VaultDep) -> TrackOut:
    """Where the report stands: the same truth that staff see."""
    return await queries.track(session, vault, report)


@tracking.get(
    "/{token}/photos/{photo_id}", response_class=Response, responses=JPEG | problems(TrackingUnknown, PhotoNotFound)
)
async def show_tracked_photo(
    report: LinkedReport, photo_id: UUID, session: SessionDep, storage: StorageDep, size: Size = "full"
) -> Response:
    """A photo of the reporter's own case."""
    photo, order_id = await attached_photo(session, photo_id)
    if order_id != report.order_id:
        raise PhotoNotFound
    return await picture(storage, photo.id, size)


@tracking.post("/{token}/additions", responses=problems(TrackingUnknown, WrongState, TooManyAdditions, PhotoUnknown))
async def add_to_report(report: LinkedReport, body: AdditionIn, session: SessionDep, vault: VaultDep) -> TrackOut:
    """Add words and photos to the report."""
    await actions.add_to_report(session, vault, report, body)
    return await queries.track(session, vault, report)


@tracking.post("/{token}/callback", responses=problems(TrackingUnknown, WrongState, OwnCallback, AlreadyAnswered))
async def answer_callback(
    report: LinkedReport, body: AnswerIn, session: SessionDep, vault: VaultDep, settings: SettingsDep
) -> TrackOut:
    """回访: whether it is solved, and how satisfied the reporter is. Some answers are checked by phone."""
    key = vault.derive("callback.check")
    await callback.answer_by_link(session, report, body, key=key, share=settings.link_check_share)
    return await queries.track(session, vault, report)


@tracking.post("/{token}/withdraw", responses=problems(TrackingUnknown, WrongState))
async def withdraw_report(report: LinkedReport, body: WithdrawIn, session: SessionDep, vault: VaultDep) -> TrackOut:
    """Withdraw the report, as long as nobody has taken it up."""
    await actions.withdraw_report(session, vault, report, body.reason)
    return await queries.track(session, vault, report)


@tracking.post("/{token}/settled", responses=problems(TrackingUnknown, WrongState))
async def settle_report(report: LinkedReport, body: Nothing, session: SessionDep, vault: VaultDep) -> TrackOut:
    """Say that the matter is settled; a call-back still follows."""
    await workflow.settle_order(session, report)
    return await queries.track(session, vault, report)
