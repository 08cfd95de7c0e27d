"""Clerks 店员: invited by the merchant's manager, joined by a code, revoked at once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.ids import new_id
from services.points.counter import queries, rules
from services.points.counter.errors import AlreadyClerk, TooManyClerks
from services.points.counter.schemas import ClerkIn
from services.points.counter.tables import Clerk
from services.points.counter.terms import Counter
from services.points.merchants.errors import MerchantNotFound
from services.points.registry import queries as registry
from services.points.registry.actions import note
from services.points.registry.errors import StoreNotFound
from services.points.registry.rules import check_may_change
from services.points.registry.terms import MerchantEventKind

_LEFT = "本人注销账号"
"""Why a clerk was revoked who deleted their account."""


async def invite(
    session: AsyncSession, vault: Vault, actor: Actor, merchant_id: UUID, wanted: ClerkIn
) -> tuple[Clerk, str]:
    """Invite somebody to work at a store: the invitation, and its code.

    Raises MerchantNotFound, StoreNotFound (a closed one counts as none), TooManyClerks.
    """
    check_may_change(actor, merchant_id)
    await registry.lock_merchant(session, merchant_id)
    store = await registry.store_by_id(session, merchant_id, wanted.store_id)
    if store.closed_at is not None:
        raise StoreNotFound
    if await queries.number_of_clerks(session, merchant_id) >= rules.CLERKS:
        raise TooManyClerks
    at, clerk_id = clock.now(), new_id()
    clerk = Clerk(
        id=clerk_id,
        merchant_id=merchant_id,
        store_id=wanted.store_id,
        name_sealed=vault.seal(wanted.name, queries.name_context(clerk_id)),
        invited_at=at,
        person_id=None,
        joined_at=None,
        revoked_at=None,
        revoked_by=None,
    )
    code = await _give_code(session, vault, clerk, at)
    session.add(clerk)
    note(session, merchant_id, actor.id, MerchantEventKind.CLERK_INVITED, subject=str(clerk_id))
    return clerk, code


async def invite_again(
    session: AsyncSession, vault: Vault, actor: Actor, merchant_id: UUID, clerk_id: UUID
) -> tuple[Clerk, str]:
    """Another code in place of the one before, which is good for nothing now.

    Raises MerchantNotFound, ClerkNotFound, ClerkJoined.
    """
    check_may_change(actor, merchant_id)
    clerk = await queries.lock_clerk(session, merchant_id, clerk_id)
    rules.check_may_be_invited(clerk)
    code = await _give_code(session, vault, clerk, clock.now())
    note(session, merchant_id, actor.id, MerchantEventKind.CLERK_INVITED, subject=str(clerk_id))
    return clerk, code


async def join(session: AsyncSession, vault: Vault, actor: Actor, code: str) -> Counter:
    """Become the clerk whom a code was made for; it is spent. The counter where one stands now.

    Raises TooManyInvitationTries, whatever the code is worth; InvitationWrong, after which the try stays counted;
    AlreadyClerk, which leaves the code good for somebody else.
    """
    tries = await queries.lock_tries(session, actor.id)
    rules.check_may_try(tries, clock.now())
    found = await queries.lock_invitation(session, _hash(vault, code))
    clerk = rules.check_invitation(found, tries, clock.now())
    if await queries.works_at(session, actor.id, clerk.merchant_id, clerk.store_id):
        raise AlreadyClerk
    clerk.code_hash = clerk.code_expires_at = None
    clerk.person_id, clerk.joined_at = actor.id, clock.now()
    note(session, clerk.merchant_id, actor.id, MerchantEventKind.CLERK_JOINED, subject=str(clerk.id))
    await session.flush()
    return await queries.counter_at(session, queries.place_of(actor, clerk.merchant_id, clerk.store_id))


async def revoke(session: AsyncSession, actor: Actor, merchant_id: UUID, clerk_id: UUID) -> Clerk:
    """From now on somebody does nothing more at the counter. Done again it changes nothing.

    Raises MerchantNotFound, ClerkNotFound.
    """
    check_may_change(actor, merchant_id)
    clerk = await queries.lock_clerk(session, merchant_id, clerk_id)
    _revoke(session, clerk, actor.id)
    return clerk


async def leave_all(session: AsyncSession, person_id: UUID) -> None:
    """Somebody deleted their account: they are a clerk nowhere any more, and nobody's list has a name for them."""
    for clerk in await queries.lock_clerkships(session, person_id):
        _revoke(session, clerk, person_id, _LEFT)
        clerk.name_sealed = None
    await session.flush()


async def record_clerk(
    session: AsyncSession, vault: Vault, clerk_id: UUID, *, person_id: UUID, merchant_id: UUID, store_id: str, name: str
) -> None:
    """Put a clerk on record who has joined already. Raises MerchantNotFound, StoreNotFound."""
    if await registry.find_merchant(session, merchant_id) is None:
        raise MerchantNotFound
    await registry.store_by_id(session, merchant_id, store_id)
    at = clock.now()
    session.add(
        Clerk(
            id=clerk_id,
            merchant_id=merchant_id,
            store_id=store_id,
            name_sealed=vault.seal(name, queries.name_context(clerk_id)),
            code_hash=None,
            code_expires_at=None,
            invited_at=at,
            person_id=person_id,
            joined_at=at,
            revoked_at=None,
            revoked_by=None,
        )
    )
    await session.flush()


def _revoke(session: AsyncSession, clerk: Clerk, by: UUID, reason: str | None = None) -> None:
    if clerk.revoked_at is not None:
        return
    clerk.revoked_at, clerk.revoked_by = clock.now(), by
    clerk.code_hash = clerk.code_expires_at = None
    kind = MerchantEventKind.CLERK_REVOKED
    note(session, clerk.merchant_id, by, kind, subject=str(clerk.id), reason=reason)


async def _give_code(session: AsyncSession, vault: Vault, clerk: Clerk, at: datetime) -> str:
    while True:
        code = rules.new_code()
        if not await queries.is_code_taken(session, _hash(vault, code)):
            break
    clerk.code_hash, clerk.code_expires_at = _hash(vault, code), at + rules.CODE_GOOD_FOR
    return code


def _hash(vault: Vault, code: str) -> bytes:
    return vault.fingerprint(code, "merchant_clerk.code")
