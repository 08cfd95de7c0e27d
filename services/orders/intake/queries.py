"""Reading reports, and what their reporters may see."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from chassis.core.crypto import Vault, mask_name, mask_phone, token_hash
from services.orders.callback.queries import callbacks_of
from services.orders.callback.schemas import CallbackOut
from services.orders.intake import rules
from services.orders.intake.errors import TrackingUnknown
from services.orders.intake.schemas import (
    AdditionOut,
    CategoryOut,
    EmergencyOut,
    ItemOut,
    OpenHere,
    PlacePage,
    StepOut,
    SubItemOut,
    TaxonomyOut,
    TrackOut,
)
from services.orders.intake.tables import Addition, Report
from services.orders.intake.taxonomy import EMERGENCY_NUMBERS, LIKELY, Category, SubItem, load
from services.orders.photos.queries import photos_of
from services.orders.photos.schemas import PhotoRef
from services.orders.places import queries as places
from services.orders.places.schemas import PlaceOut
from services.orders.places.tables import Unit
from services.orders.terms import FINISHED, Post, State
from services.orders.workflow import queries as orders
from services.orders.workflow.schemas import VisitOut
from services.orders.workflow.tables import Change, Order


async def report_by_token(session: AsyncSession, token: str) -> Report:
    """The report of a private link. Raises TrackingUnknown."""
    statement = select(Report).where(Report.tracking_hash == token_hash(token))
    report = (await session.scalars(statement)).one_or_none()
    if report is None:
        raise TrackingUnknown
    return report


async def lock_reports_of(session: AsyncSession, reporter_id: UUID) -> Sequence[Report]:
    """Every report of somebody with an account."""
    statement = select(Report).where(Report.reporter_id == reporter_id).order_by(Report.id).with_for_update()
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def open_twin(
    session: AsyncSession,
    place_id: UUID,
    subitem_code: str,
    *,
    phone: bytes | None,
    reporter_id: UUID | None,
    device: bytes | None,
) -> str | None:
    """The number of an open order for the same thing at the same place by the same reporter, if there is one.

    The same reporter has the same phone or the same account; where neither is known on either side, the same device.
    """
    same: list[ColumnElement[bool]] = []
    if phone is not None:
        same.append(Report.phone_fingerprint == phone)
    if reporter_id is not None:
        same.append(Report.reporter_id == reporter_id)
    if device is not None and not same:
        same.append((Report.device == device) & Report.phone_fingerprint.is_(None) & Report.reporter_id.is_(None))
    if not same:
        return None
    statement = (
        select(Order.number)
        .join(Report, Report.order_id == Order.id)
        .where(Order.place_id == place_id, Order.subitem_code == subitem_code, Order.state.not_in(FINISHED), or_(*same))
        .order_by(Order.id)
        .limit(1)
    )
    return (await session.scalars(statement)).one_or_none()


async def nth_latest(
    session: AsyncSession, column: InstrumentedAttribute[Any], value: object, number: int
) -> datetime | None:
    """When the `number`-th latest report with this code, device or phone came in, if there are so many."""
    statement = select(Report.created_at).where(column == value).order_by(Report.created_at.desc())
    return (await session.scalars(statement.offset(number - 1).limit(1))).one_or_none()


async def additions_of(session: AsyncSession, vault: Vault, report: Report) -> list[AdditionOut]:
    """What the reporter added, from the first on."""
    statement = select(Addition).where(Addition.report_id == report.id).order_by(Addition.id)
    return [
        AdditionOut(at=addition.at, text=vault.open(addition.text_sealed, f"addition.text:{addition.id}"))
        for addition in await session.scalars(statement)
    ]


async def count_additions(session: AsyncSession, report_id: UUID) -> int:
    """How many times the reporter added something."""
    return (await session.scalars(select(func.count()).where(Addition.report_id == report_id))).one()


def open_sealed(vault: Vault, report: Report, field: str) -> str | None:
    """A sealed field of a report (`name`, `phone`, `description`) in the clear."""
    sealed: bytes | None = getattr(report, f"{field}_sealed")
    return vault.open(sealed, f"report.{field}:{report.id}") if sealed is not None else None


async def track(session: AsyncSession, vault: Vault, report: Report) -> TrackOut:
    """The reporter's view of their report's order."""
    order = await orders.order(session, report.order_id)
    subitem = load(order.taxonomy_version).subitems[order.subitem_code]
    name, phone = open_sealed(vault, report, "name"), open_sealed(vault, report, "phone")
    return TrackOut(
        number=order.number,
        state=order.state,
        round=order.round,
        subitem_code=subitem.code,
        subitem_name=subitem.name,
        urgent=order.urgent,
        place=PlaceOut.of(order.place),
        unit=order.unit.name if order.unit else None,
        created_at=order.created_at,
        contact_by=order.contact_by,
        due_at=order.due_at,
        callback_by=order.callback_by,
        resolved_at=order.resolved_at,
        awaits_check=order.awaits_check,
        closed_at=order.closed_at,
        closed_why=order.closed_why,
        name=mask_name(name) if name else None,
        phone=mask_phone(phone) if phone else None,
        description=open_sealed(vault, report, "description") or "",
        visit=VisitOut.of(report),
        additions=await additions_of(session, vault, report),
        photos=[PhotoRef.of(photo) for photo in await photos_of(session, order.id)],
        history=[_step(change) for change in await orders.history_of(session, order.id)],
        callbacks=[CallbackOut.of(callback) for callback in await callbacks_of(session, order.id)],
        may=rules.reporter_may(order.state, answered=order.awaits_check),
    )


def _step(change: Change) -> StepOut:
    done = change.to_state is State.RESOLVED and change.post is Post.HANDLER
    return StepOut(
        at=change.at,
        post=change.post,
        from_state=change.from_state,
        to_state=change.to_state,
        round=change.round,
        why=change.why if done else None,
    )


async def place_page(session: AsyncSession, code: str) -> PlacePage:
    """What the page of a QR code shows. Raises QrCodeUnknown, QrCodeRevoked."""
    place = await places.place_by_code(session, code, field="path.code")
    community = await session.get_one(Unit, place.community_id)
    return PlacePage(
        code=code,
        place=PlaceOut.of(place),
        community=community.name,
        emergency=[EmergencyOut(name=number.name, phone=number.phone) for number in EMERGENCY_NUMBERS],
        likely=[_subitem(load().subitems[code]) for code in LIKELY[place.kind]],
        open=[_open(order) for order in await orders.open_here(session, place.id)],
    )


def _open(order: Order) -> OpenHere:
    subitem = load(order.taxonomy_version).subitems[order.subitem_code]
    return OpenHere(
        subitem_code=subitem.code, subitem_name=subitem.name, state=order.state, reported_at=order.created_at
    )


def taxonomy() -> TaxonomyOut:
    """The taxonomy in force."""
    data = load().data
    return TaxonomyOut(
        version=data.version,
        categories=[_category(category) for category in data.categories],
        outside=_category(data.outside),
    )


def _category(category: Category) -> CategoryOut:
    items = [
        ItemOut(code=item.code, name=item.name, subitems=[_subitem(subitem) for subitem in item.subitems])
        for item in category.items
    ]
    return CategoryOut(code=category.code, name=category.name, items=items)


def _subitem(subitem: SubItem) -> SubItemOut:
    return SubItemOut(code=subitem.code, name=subitem.name, urgent=subitem.urgent, sla_hours=subitem.sla_hours)
