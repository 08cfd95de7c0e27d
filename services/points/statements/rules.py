"""Whose accounts a person has, and who may read an account."""

from chassis.core.actor import Actor
from services.points.ledger.tables import Account
from services.points.ledger.terms import AccountKey, household_wallet
from services.points.terms import LedgerName, OwnerKind

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
    """The owner, every member of the household for its wallet, and auditors and administrators."""
    match account.owner_kind:
        case OwnerKind.PERSON:
            owns = account.owner_id == actor.id
        case OwnerKind.HOUSEHOLD:
            owns = account.owner_id == actor.household_id
        case _:
            owns = False
    return owns or actor.has("auditor", "administrator")
