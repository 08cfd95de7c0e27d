"""Which board a moment belongs to, who may see whom on it, and how ties share a rank."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from chassis.core.actor import Actor
from chassis.core.beijing import day_of
from services.points.boards.terms import BoardKind, BoardPeriod
from services.points.statements.rules import STAFF
from services.points.terms import LedgerName

BEGINNING = date(1970, 1, 1)
"""The day under which the boards of all time stand."""


def starts_on(period: BoardPeriod, at: datetime) -> date:
    """The first day, in Beijing, of the period that a moment falls in."""
    day = day_of(at)
    match period:
        case BoardPeriod.WEEK:
            return day - timedelta(days=day.weekday())
        case BoardPeriod.MONTH:
            return day.replace(day=1)
        case BoardPeriod.QUARTER:
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case BoardPeriod.YEAR:
            return day.replace(month=1, day=1)
        case BoardPeriod.ALL:
            return BEGINNING


def may_see(actor: Actor, ledger: LedgerName) -> bool:
    """The civic boards are everybody's. Those of the staff ledger measure work, and are for those with a staff post."""
    return ledger is LedgerName.CIVIC or actor.has(*STAFF)


def shows_subjects(actor: Actor, kind: BoardKind) -> bool:
    """Whether all ids of a board are shown, or only one's own.

    Communities and units are public. People and families (their members may be children, and who did how much tells
    when somebody was not at home) are known to staff; to others they are ranks and scores.
    """
    return kind in (BoardKind.COMMUNITY, BoardKind.UNIT) or actor.has(*STAFF)


def may_look_up(actor: Actor, ledger: LedgerName, kind: BoardKind, subject_id: UUID) -> bool:
    """Whether the actor may ask for the place of this subject: one's own, or of whom a board shows to them by id."""
    if not may_see(actor, ledger):
        return False
    return shows_subjects(actor, kind) or own_subjects(actor, ledger).get(kind) == subject_id


def own_subjects(actor: Actor, ledger: LedgerName) -> dict[BoardKind, UUID]:
    """Under which ids the actor may be on the boards of a ledger. `household_id` is that of the moment.

    A community is one's own where one works for it.
    """
    own = {BoardKind.PERSON: actor.id}
    if ledger is LedgerName.CIVIC and actor.household_id is not None:
        own[BoardKind.HOUSEHOLD] = actor.household_id
    if actor.organisation_id is not None:
        own[BoardKind.UNIT] = actor.organisation_id
        if actor.level == "community":
            own[BoardKind.COMMUNITY] = actor.organisation_id
    return own


def ranks(scores: Sequence[int]) -> list[int]:
    """The ranks of scores from the highest down: who has the same shares one, and the next is as many further."""
    found: list[int] = []
    for place, score in enumerate(scores, start=1):
        tied = place > 1 and scores[place - 2] == score
        found.append(found[-1] if tied else place)
    return found
