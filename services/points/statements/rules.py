"""Whose accounts a person has, and who may read an account."""

from datetime import date, datetime, time, timedelta

from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.errors import FieldError, Invalid
from services.points.ledger.tables import Account
from services.points.ledger.terms import AccountKey, household_wallet
from services.points.statements.errors import PeriodTooLong
from services.points.terms import LedgerName, OwnerKind

MAX_DAYS = 366
"""The longest period of a statement."""

STAFF = frozenset(
    {
        "handler",
        "dispatcher",
        "supervisor",
        "callback_agent",
        "patrol",
        "social_worker",
        "administrator",
        "auditor",
    }
)
"""The posts whose holders have a wallet on the staff ledger."""


def own_wallets(actor: Actor) -> list[AccountKey]:
    """The wallets of a person, opened or not: their household's, and with a staff post their own."""
    wallets = []
    if actor.household_id is not None:
        wallets.append(household_wallet(actor.household_id))
    if actor.has(*STAFF):
        wallets.append(AccountKey(LedgerName.STAFF, OwnerKind.PERSON, actor.id))
    return wallets


def may_read(actor: Actor, account: Account) -> bool:
    """The owner, every member of the household for its wallet, and auditors and administrators.

    Who has the wallet that took another's place may read that one too: its points are theirs now.
    """
    own = {key.id for key in own_wallets(actor)} | {AccountKey(LedgerName.STAFF, OwnerKind.PERSON, actor.id).id}
    return account.id in own or account.merged_into_id in own or actor.has("auditor", "administrator")


def key_of(account: Account) -> AccountKey:
    """What an account is."""
    return AccountKey(account.ledger, account.owner_kind, account.owner_id, account.purpose)


def debt_of(keeps_lots: bool, balance: int, held: int) -> int:
    """What an account owed when it had this balance and so much was held.

    Balance is what lots have left less the debt, and whoever owes has nothing free: so it follows from these two.
    """
    return max(0, held - balance) if keeps_lots else 0


def bounds(first: date | None, last: date | None, today: date) -> tuple[datetime, datetime]:
    """From the start of the first day to the end of the last one, in Beijing; without days, this year until today.

    Raises Invalid where the first comes after the last, PeriodTooLong.
    """
    last = last or today
    first = first or min(date(last.year, 1, 1), last)
    if first > last:
        raise Invalid(fields=[FieldError("query.from", "comes after the last day")])
    if (last - first).days >= MAX_DAYS:
        raise PeriodTooLong(fields=[FieldError("query.from", f"is more than {MAX_DAYS} days before the last day")])
    return start_of(first), start_of(last + timedelta(days=1))


def start_of(day: date) -> datetime:
    """Midnight in Beijing."""
    return datetime.combine(day, time(), BEIJING)
