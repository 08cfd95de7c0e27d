"""Codes, tokens, and the refresh families behind them."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.errors import Unavailable
from services.identity.people import queries as people
from services.identity.people.actions import accept_privacy_notice, register_resident
from services.identity.people.errors import PersonNotFound
from services.identity.people.tables import Person
from services.identity.signin import queries, rules
from services.identity.signin.errors import CodeInvalid, PrivacyNoticeRequired, RefreshInvalid, RefreshReused
from services.identity.signin.schemas import TokenRequest
from services.identity.signin.tables import RefreshFamily, SignInCode
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION

_ASKED, _WRONG = "code", "wrong_try"  # what is counted by address


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A fresh code, to be sent, and the seconds until the phone may be sent another."""

    code: str
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the refresh token to go on with."""

    actor: Actor
    refresh_token: str


async def issue_code(
    session: AsyncSession,
    vault: Vault,
    *,
    phone: str,
    address: str,
    limits: rules.Limits,
    lifetime: timedelta,
    code: str | None = None,
) -> IssuedCode:
    """A new code for a phone, in place of any before it. Whether anyone has this phone is not looked at.

    `code` is given in demonstrations only. Raises TooManyCodes.
    """
    at = clock.now()
    count = await queries.lock_address(session, _address(vault, address), _ASKED, clock.hour_of(at))
    rules.check_address_may_ask(count, limits.codes_per_address, at)
    row = await queries.lock_phone(session, people.fingerprint(vault, phone), at)
    rules.check_phone_may_receive(row.sent_at, limits.codes_per_phone, at)
    code = code or f"{secrets.randbelow(1_000_000):06d}"
    count.uses += 1
    row.code_hash = _code_hash(vault, phone, code)
    row.expires_at = at + lifetime
    row.wrong_tries = 0
    row.sent_at = [*rules.recent(row.sent_at, at), at]
    return IssuedCode(code, rules.wait_before_next(row.sent_at, limits.codes_per_phone, at))


async def sign_in(
    session: AsyncSession,
    vault: Vault,
    request: TokenRequest,
    *,
    address: str,
    limits: rules.Limits,
    refresh_lifetime: timedelta,
) -> SignedIn:
    """Spend a code. A verified phone that nobody has becomes a resident with a household of one.

    Raises TooManyTries; CodeInvalid, after which the try stays counted; PrivacyNoticeRequired, which leaves
    the code as it was.
    """
    row = await _check_code(session, vault, request, address=address, limits=limits)
    person = await people.person_by_phone(session, vault, request.phone)
    accepted = request.privacy_notice == PRIVACY_NOTICE_VERSION
    if not accepted and (person is None or request.privacy_notice is not None):
        raise PrivacyNoticeRequired(PRIVACY_NOTICE_VERSION)
    row.code_hash = None
    if person is None:
        person = await register_resident(session, vault, phone=request.phone, name=request.name)
    if accepted:
        await accept_privacy_notice(session, person.id, PRIVACY_NOTICE_VERSION)
    return await _begin_family(session, vault, person, refresh_lifetime)


async def refresh(
    session: AsyncSession, vault: Vault, token: str, *, repeat_within: timedelta, refresh_lifetime: timedelta
) -> SignedIn:
    """Spend a refresh token for its successor. The one just spent gives it again within `repeat_within`.

    Raises RefreshInvalid; RefreshReused, after which the family has ended.
    """
    at = clock.now()
    key = _refresh_key(vault)
    family_id, generation = rules.read_refresh_token(key, token)
    family = await queries.lock_family(session, family_id)
    if family is None:
        raise RefreshInvalid
    outcome = rules.refresh(family, generation, repeat_within, at)
    try:
        actor = await people.actor(session, family.person_id)
    except PersonNotFound:
        raise RefreshInvalid from None
    if outcome is rules.Refresh.END:
        rules.end(family, "reused", at)
        raise RefreshReused
    if outcome is rules.Refresh.ROTATE:
        family.generation += 1
        family.rotated_at = at
        family.expires_at = at + refresh_lifetime
    return SignedIn(actor, rules.refresh_token(key, family_id, family.generation))


async def sign_out(session: AsyncSession, vault: Vault, token: str) -> None:
    """End the family of a refresh token. A token that is not good ends nothing and is no error (RFC 7009)."""
    try:
        family_id, _ = rules.read_refresh_token(_refresh_key(vault), token)
    except RefreshInvalid:
        return
    family = await queries.lock_family(session, family_id)
    if family is not None:
        rules.end(family, "signed_out", clock.now())


async def sweep(session: AsyncSession, at: datetime) -> None:
    """Forget what no decision after `at` can need: old codes, past hours' counts, refresh families at their end."""
    hour_ago = at - rules.HOUR
    await queries.delete_codes(session, expired_by=hour_ago)
    await queries.delete_address_counts(session, of_hours_until=hour_ago)
    await queries.delete_families(session, expired_by=at, ended_by=at - rules.KEEP_ENDED)


async def _check_code(
    session: AsyncSession, vault: Vault, request: TokenRequest, *, address: str, limits: rules.Limits
) -> SignInCode:
    at = clock.now()
    count = await queries.lock_address(session, _address(vault, address), _WRONG, clock.hour_of(at))
    rules.check_address_may_try(count, limits.wrong_tries_per_address, at)
    row = await queries.lock_code(session, people.fingerprint(vault, request.phone))
    if row and rules.is_right(row, _code_hash(vault, request.phone, request.code), limits.tries_per_code, at):
        return row
    count.uses += 1
    if row and rules.is_alive(row, limits.tries_per_code, at):
        row.wrong_tries += 1
    raise CodeInvalid


async def _begin_family(session: AsyncSession, vault: Vault, person: Person, refresh_lifetime: timedelta) -> SignedIn:
    at = clock.now()
    family = RefreshFamily(
        id=_random_id(),
        person_id=person.id,
        generation=0,
        rotated_at=at,
        expires_at=at + refresh_lifetime,
        ended_at=None,
        ended_because=None,
    )
    session.add(family)
    await session.flush()  # waits for whoever is deleting this account; or they for us, and then they end the family
    try:
        actor = await people.actor(session, person.id)
    except PersonNotFound:
        raise Unavailable("The account was deleted at this very moment. Please try again.") from None
    return SignedIn(actor, rules.refresh_token(_refresh_key(vault), family.id, family.generation))


def _random_id() -> UUID:
    return uuid4()  # not one sorted by time: nobody may foresee a family's id


def _refresh_key(vault: Vault) -> bytes:
    return vault.derive("refresh token")


def _code_hash(vault: Vault, phone: str, code: str) -> bytes:
    return vault.fingerprint(f"{phone} {code}", "sign_in_code.code")


def _address(vault: Vault, address: str) -> bytes:
    return vault.fingerprint(rules.subject_of(address), "address_count.address")
