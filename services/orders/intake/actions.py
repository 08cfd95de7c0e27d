"""Taking reports, and what reporters do through their private link."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from chassis.core import clock, ids, jobs
from chassis.core.actor import Actor
from chassis.core.crypto import Vault, new_token, token_hash
from chassis.core.errors import FieldError, Forbidden
from services.orders.callback import rules as callback
from services.orders.intake import queries, rules
from services.orders.intake.clients import PersonFound
from services.orders.intake.errors import AlreadyReported, SubItemUnknown, TooManyReports
from services.orders.intake.schemas import AdditionIn, ContactOut, ReportIn
from services.orders.intake.tables import Addition, ContactRead, Report
from services.orders.intake.taxonomy import load
from services.orders.limits import check_rate
from services.orders.photos import actions as photos
from services.orders.places import queries as places
from services.orders.places.tables import Place
from services.orders.settings import OrdersSettings
from services.orders.terms import WORKING, Level, PhotoPurpose, Post, Source, State
from services.orders.workflow import actions as workflow
from services.orders.workflow import queries as orders
from services.orders.workflow.tables import Order

FIND_REPORTER = "orders.find_reporter"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a report: somebody signed in, or nobody known; and from which device (a keyed hash)."""

    actor: Actor | None
    device: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The order that a report opened, and the token of its private link: only here is it in the clear."""

    order: Order
    token: str | None


async def take_report(
    session: AsyncSession, vault: Vault, settings: OrdersSettings, sender: Sender, body: ReportIn
) -> Receipt:
    """A report becomes an order.

    Raises QrCodeUnknown, QrCodeRevoked, SubItemUnknown, VisitImpossible, Invalid (a source that is not theirs),
    AlreadyReported, TooManyReports, PhotoUnknown.
    """
    at = clock.now()
    source = rules.source_of(sender.actor, body.source)
    taxonomy = load()
    subitem = taxonomy.find(body.subitem_code)
    if subitem is None:
        raise SubItemUnknown(fields=[FieldError("body.subitem_code", "is not in the taxonomy")])
    if body.visit:
        rules.check_visit(body.visit.from_, body.visit.to, at)
    place = await places.place_by_code(session, body.qr_code, field="body.qr_code", lock=True)
    report, token = _report(vault, sender, source, body, at)
    await _check_not_reported(session, place, body.subitem_code, report, source)
    await _check_limits(session, settings, report, source)
    order = await workflow.open_order(session, place, taxonomy, subitem, source)
    report.order_id = order.id
    session.add(report)
    await photos.attach(session, body.photos, order.id, PhotoPurpose.REPORT, at=at)
    if report.phone_sealed is not None and report.reporter_id is None:
        await session.flush()
        await jobs.defer(session, FIND_REPORTER, report_id=str(report.id))
    return Receipt(order, token)


def _report(vault: Vault, sender: Sender, source: Source, body: ReportIn, at: datetime) -> tuple[Report, str | None]:
    """The row, without its order, and the private link's token, which staff who type for somebody never get."""
    report_id = ids.new_id()
    entered = source is Source.STAFF
    token = None if entered else new_token()
    reporter = None if entered else sender.actor
    name = body.contact.name if body.contact else None
    phone = body.contact.phone if body.contact else None
    report = Report(
        id=report_id,
        qr_code=body.qr_code,
        created_at=at,
        device=sender.device,
        reporter_id=reporter.id if reporter else None,
        household_id=reporter.household_id if reporter and source is not Source.PATROL else None,
        entered_by=sender.actor.id if entered and sender.actor else None,
        tracking_hash=token_hash(token) if token else None,
        name_sealed=vault.seal(name, f"report.name:{report_id}") if name else None,
        phone_sealed=vault.seal(phone, f"report.phone:{report_id}") if phone else None,
        phone_fingerprint=vault.fingerprint(phone, "report.phone") if phone else None,
        description_sealed=vault.seal(body.description, f"report.description:{report_id}"),
        visit_from=body.visit.from_ if body.visit else None,
        visit_to=body.visit.to if body.visit else None,
    )
    return report, token


async def _check_not_reported(
    session: AsyncSession, place: Place, subitem_code: str, report: Report, source: Source
) -> None:
    """Raises AlreadyReported. Whoever enters reports for many is not one reporter, though it is one device."""
    number = await queries.open_twin(
        session,
        place.id,
        subitem_code,
        phone=report.phone_fingerprint,
        reporter_id=report.reporter_id,
        device=None if source is Source.STAFF else report.device,
    )
    if number is not None:
        raise AlreadyReported(f"It is {number}; what is new can be added through its link.")


async def _check_limits(session: AsyncSession, settings: OrdersSettings, report: Report, source: Source) -> None:
    """Raises TooManyReports by code, device or phone; a desk where staff enter reports has no limit by device."""
    limits: list[tuple[InstrumentedAttribute[Any], object, int]] = [
        (Report.qr_code, report.qr_code, settings.reports_per_code_hour),
        (Report.phone_fingerprint, report.phone_fingerprint, settings.reports_per_phone_hour),
    ]
    if source is not Source.STAFF:
        limits.append((Report.device, report.device, settings.reports_per_device_hour))
    for column, value, number in limits:
        if value is not None:
            nth_latest = await queries.nth_latest(session, column, value, number)
            check_rate(nth_latest, report.created_at, TooManyReports)


async def record_reporter(session: AsyncSession, report_id: UUID, found: PersonFound) -> UUID | None:
    """The phone of the report turned out to be that of somebody with an account: the report is theirs too.

    Returns whose it is, as far as is known now.
    """
    report = await session.get(Report, report_id, with_for_update=True)
    if report is None:
        return None
    if report.reporter_id is None:
        report.reporter_id, report.household_id = found.person_id, found.household_id
        await session.flush()
    return report.reporter_id


async def erase_contacts(session: AsyncSession, reporter_id: UUID) -> None:
    """Somebody deleted their account: name and phone are gone from their reports, also from those found by the phone.

    The cases stay, and go on; who reported them is known by the id alone.
    """
    for report in await queries.lock_reports_of(session, reporter_id):
        report.name_sealed = report.phone_sealed = report.phone_fingerprint = None
    await session.flush()


async def add_to_report(session: AsyncSession, vault: Vault, report: Report, body: AdditionIn) -> None:
    """The reporter adds words and photos. Raises WrongState, TooManyAdditions, PhotoUnknown."""
    order = await orders.lock_order(session, report.order_id)
    rules.check_addition(order.state, await queries.count_additions(session, report.id))
    at = clock.now()
    _add(session, vault, report, body.text, at)
    await photos.attach(session, body.photos, order.id, PhotoPurpose.ADDITION, at=at)


async def withdraw_report(session: AsyncSession, vault: Vault, report: Report, reason: str) -> None:
    """The reporter withdraws; their reason is kept with their other words, sealed. Raises WrongState."""
    await workflow.withdraw_order(session, report)
    _add(session, vault, report, reason, clock.now())
    await session.flush()


def _add(session: AsyncSession, vault: Vault, report: Report, text: str, at: datetime) -> None:
    addition_id = ids.new_id()
    sealed = vault.seal(text, f"addition.text:{addition_id}")
    session.add(Addition(id=addition_id, report_id=report.id, at=at, text_sealed=sealed))


async def read_contact(session: AsyncSession, vault: Vault, actor: Actor, order_id: UUID) -> ContactOut:
    """Whom to call, and their words: for the current handler and, once resolved, the call-back agents of the
    subdistrict; the words alone for the dispatcher of the unit. Every reading is logged.

    Raises OrderNotFound, Forbidden for those who see the order but not its contact, OwnCallback.
    """
    order, _ = await orders.visible_order(session, actor, order_id)
    post = await _reader(session, actor, order)
    report = (await orders.reports_of(session, order_id))[0]
    full = post is not Post.DISPATCHER
    session.add(
        ContactRead(id=ids.new_id(), order_id=order_id, reader_id=actor.id, post=post, phone_shown=full, at=clock.now())
    )
    return ContactOut(
        name=queries.open_sealed(vault, report, "name") if full else None,
        phone=queries.open_sealed(vault, report, "phone") if full else None,
        description=queries.open_sealed(vault, report, "description") or "",
        additions=await queries.additions_of(session, vault, report),
    )


async def _reader(session: AsyncSession, actor: Actor, order: Order) -> Post:
    """In which capacity the actor reads the contact of an order that they may see."""
    if actor.has("handler") and order.handler_id == actor.id and order.state in WORKING:
        return Post.HANDLER
    if actor.has("callback_agent") and order.state is State.RESOLVED:
        handlers = await orders.handlers_of(session, order.id)
        callback.check_callback_by(actor.id, handlers=handlers, reporters=await orders.reporters_of(session, order.id))
        return Post.CALLBACK_AGENT
    without_unit = order.unit_id is None and actor.level == Level.SUBDISTRICT
    if actor.has("dispatcher") and (order.unit_id == actor.organisation_id or without_unit):
        return Post.DISPATCHER
    raise Forbidden("This is for whoever handles the order now and for call-back agents.")
