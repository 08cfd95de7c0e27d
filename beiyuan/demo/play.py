"""Plays the demo town's stories in the orders service: each step by the real action, with the clock set to its moment.

A story is one transaction. That it was played is known by the device that its report came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from beiyuan.demo import names, town
from beiyuan.demo.actors import resident_actor, staff_actor
from beiyuan.demo.load_places import record_unit
from beiyuan.demo.organisations import HOTLINE, SUBDISTRICT
from beiyuan.demo.people import Employee, household_of, staff_of
from beiyuan.demo.pictures import picture
from beiyuan.demo.stories import Step, Story
from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.runtime import Runtime
from services.identity.terms import Role
from services.orders.callback import actions as callback
from services.orders.callback.schemas import AnswerIn, CallbackIn, ReviewIn
from services.orders.intake import actions as intake
from services.orders.intake.schemas import ContactIn, ReportIn
from services.orders.intake.tables import Report
from services.orders.photos.actions import take_photo
from services.orders.photos.storage import LocalFolder
from services.orders.settings import OrdersSettings
from services.orders.terms import MeetingMode, Satisfied
from services.orders.workflow import actions as workflow
from services.orders.workflow.queries import reports_of
from services.orders.workflow.schemas import MeetIn, ResolveIn


async def play(orders: Runtime, now: datetime) -> bool:
    """Play the stories that were not played yet, the oldest first; whether there were any."""
    devices = {names.device(story.key): story for story in town.STORIES.values()}
    async with orders.db.transaction() as session:
        played = set(await session.scalars(select(Report.device).where(Report.device.in_(devices))))
    missing = [story for device, story in devices.items() if device not in played]
    for story in sorted(missing, key=lambda story: story.at(now)):
        await _play_story(orders, story, now)
    return bool(missing)


async def _play_story(orders: Runtime, story: Story, now: datetime) -> None:
    assert isinstance(orders.settings, OrdersSettings)
    photos = await _take_photos(orders, orders.settings, story, now)
    async with orders.db.transaction() as session:
        stage = _Stage(orders, orders.settings, session, photos)
        with clock.frozen(story.at(now)):
            await stage.report(story)
        for step in story.steps:
            with clock.frozen(step.at(now)):
                await stage.perform(step)
                await session.flush()


async def _take_photos(
    orders: Runtime, settings: OrdersSettings, story: Story, now: datetime
) -> dict[datetime, list[UUID]]:
    """The story's photos by when they were taken."""
    proofs = [step.at(now) for step in story.steps if step.act == "resolve"]
    taken: dict[datetime, list[UUID]] = {}
    for at in [story.at(now), *proofs] if story.photo else proofs:
        with clock.frozen(at):
            photo_id = await take_photo(
                orders.db,
                LocalFolder(settings.photos_path),
                picture(story.key, done=at in proofs),
                device=names.device(story.key),
                max_pixels=settings.photo_max_pixels,
                per_hour=settings.photos_per_device_hour,
            )
        taken[at] = [photo_id]
    return taken


@dataclass
class _Stage:
    """One story while it is played."""

    orders: Runtime
    settings: OrdersSettings
    session: AsyncSession
    photos: dict[datetime, list[UUID]]
    order_id: UUID = field(init=False)
    unit_id: UUID | None = field(init=False)

    async def report(self, story: Story) -> None:
        """The report comes in."""
        if story.unrouted:
            # In a complete town the rules find a unit for everything. This report comes while they know nobody above
            # the subdistrict, so it waits for a dispatcher 待受理.
            await record_unit(self.session, SUBDISTRICT, None)
        actor, contact = _reporter(story)
        receipt = await intake.take_report(
            self.session,
            self.orders.vault,
            self.settings,
            intake.Sender(actor, names.device(story.key)),
            ReportIn(
                qr_code=town.PLACES[story.place].qr_code,
                subitem_code=story.subitem,
                description=story.words,
                contact=contact,
                photos=self.photos.get(clock.now(), []),
            ),
        )
        if story.unrouted:
            await record_unit(self.session, SUBDISTRICT, SUBDISTRICT.parent_id)
        self.order_id, self.unit_id = receipt.order.id, receipt.order.unit_id

    async def perform(self, step: Step) -> None:
        """One step, by whoever takes it."""
        match step.act:
            case "settle":
                await workflow.settle_order(self.session, await self._own_report())
            case "withdraw":
                report = await self._own_report()
                await intake.withdraw_report(self.session, self.orders.vault, report, step.words)
            case "answer":
                await callback.answer_by_link(
                    self.session,
                    await self._own_report(),
                    AnswerIn(solved=True, satisfied=Satisfied(step.answer)),
                    key=b"demo",
                    share=1 if step.drawn else 0,
                )
            case "call":
                agent = staff_actor(staff_of(HOTLINE, Role.CALLBACK_AGENT)[1])
                await callback.record_callback(self.session, agent, self.order_id, _answer(step))
            case "review":
                supervisor = staff_actor(staff_of(HOTLINE, Role.SUPERVISOR)[1])
                review = ReviewIn(decision="close", note=step.words)
                await callback.review_order(self.session, supervisor, self.order_id, review)
            case _:
                await self._handle(step)

    async def _handle(self, step: Step) -> None:
        """One step by a handler of the order's unit."""
        session, order_id = self.session, self.order_id
        handler = staff_actor(_handlers(self.unit_id)[-step.handler])
        match step.act:
            case "claim":
                limit = self.settings.open_claims_per_handler
                await workflow.claim_order(session, handler, order_id, limit=limit)
            case "release":
                await workflow.release_order(session, handler, order_id, step.words)
            case "meet" | "meet by phone":
                mode = MeetingMode.ON_SITE if step.act == "meet" else MeetingMode.PHONE
                await workflow.meet_resident(session, handler, order_id, MeetIn(mode=mode, note=step.words))
            case "start":
                await workflow.start_work(session, handler, order_id, step.words or None)
            case "resolve":
                body = ResolveIn(note=step.words, photos=self.photos[clock.now()])
                await workflow.resolve_order(session, handler, order_id, body)
            case other:
                raise ValueError(f"nobody knows how to {other}")

    async def _own_report(self) -> Report:
        return (await reports_of(self.session, self.order_id))[0]


def _reporter(story: Story) -> tuple[Actor | None, ContactIn | None]:
    """Who is signed in, if anybody, and whom to call back."""
    who = story.reporter
    if who is None:
        return None, None
    if who in town.STAFF and not story.on_behalf_of:
        return staff_actor(town.STAFF[who]), None
    person = town.PEOPLE.get((story.on_behalf_of or who).removeprefix("phone:"))
    if person is None:
        return None, ContactIn(name=who, phone=names.phone(f"outside/{story.key}"))
    contact = ContactIn(name=person.name, phone=person.phone)
    if who in town.STAFF:
        return staff_actor(town.STAFF[who]), contact
    if who.startswith("phone:"):
        return None, contact
    return resident_actor(person, household_of(person)), contact


def _handlers(unit_id: UUID | None) -> Sequence[Employee]:
    """The unit's handlers who hold no other post."""
    unit = next(organisation for organisation in town.ORGANISATIONS if organisation.id == unit_id)
    return [who for who in staff_of(unit, Role.HANDLER) if who.roles == (Role.HANDLER,)]


def _answer(step: Step) -> CallbackIn:
    """What a call-back agent heard."""
    if step.answer == "not reached":
        return CallbackIn(contacted=False)
    return CallbackIn(contacted=True, solved=step.answer != "dissatisfied", satisfied=Satisfied(step.answer))
