"""Who may see to a merchant, and for how long its keys are good. Pure."""

import base64
import hashlib
from binascii import Error as Base64Error
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.core.actor import Actor
from services.points.merchants import signing
from services.points.merchants.errors import MerchantNotFound, SignError
from services.points.merchants.rules import is_over
from services.points.merchants.tables import MerchantKey
from services.points.merchants.terms import Algorithm
from services.points.registry.errors import KeyProofWrong, KeyValidityWrong
from services.points.registry.terms import KeyState

MANAGER = "merchant"
"""The role of who manages the merchant that their post is at."""
STORES = 500
"""So many a merchant may have, closed ones included."""
KEY_GOOD_FOR = timedelta(days=2 * 365)
"""Where nothing else is said."""
KEY_LONGEST = timedelta(days=5 * 366)
KEY_AHEAD = timedelta(days=180)
_SERIAL_DIGITS = 40


def manages(actor: Actor, merchant_id: UUID) -> bool:
    """Whether their post makes them the merchant's manager 店主."""
    return actor.has(MANAGER) and actor.organisation_id == merchant_id


def check_may_change(actor: Actor, merchant_id: UUID) -> None:
    """Administrators see to every merchant, managers to their own. Raises MerchantNotFound: others' are not told."""
    if not (actor.has("administrator") or manages(actor, merchant_id)):
        raise MerchantNotFound


def check_may_see(actor: Actor, merchant_id: UUID) -> None:
    """As `check_may_change`; auditors see every merchant too."""
    if not actor.has("auditor"):
        check_may_change(actor, merchant_id)


def serial_of(public_key: str, algorithm: Algorithm) -> str:
    """The serial number of a key (PEM): the first forty hexadecimal digits of the SHA-256 of its DER form.

    Whoever has the key can work it out. Raises KeyNotAcceptable.
    """
    key = signing.load_public_key(public_key, algorithm)
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.hexdigest()[:_SERIAL_DIGITS].upper()


def statement(mchid: str, serial_no: str, *, sandbox: bool) -> str:
    """What the owner of a key signs to have it registered: good for this merchant and kind alone."""
    return f"HHBY1-KEY\n{mchid}\n{serial_no}\n{'sandbox' if sandbox else 'live'}\n"


def check_proof(public_key: str, algorithm: Algorithm, said: str, proof: str) -> None:
    """Raises KeyProofWrong unless the key's owner signed the statement."""
    try:
        signing.verify(public_key, algorithm, said.encode(), base64.b64decode(proof, validate=True))
    except (SignError, Base64Error):
        raise KeyProofWrong(said) from None


def validity(not_before: datetime | None, not_after: datetime | None, at: datetime) -> tuple[datetime, datetime]:
    """From when until when a new key is good. Raises KeyValidityWrong."""
    begins = max(not_before or at, at)
    ends = not_after or begins + KEY_GOOD_FOR
    if begins > at + KEY_AHEAD:
        raise KeyValidityWrong("not_before", f"must be within {KEY_AHEAD.days} days from now")
    if not begins < ends <= begins + KEY_LONGEST:
        raise KeyValidityWrong("not_after", f"must be later than not_before, by {KEY_LONGEST.days} days at most")
    return begins, ends


def key_state(key: MerchantKey, at: datetime) -> KeyState:
    """Whether a key may sign at this moment."""
    if key.revoked_at is not None and at >= key.revoked_at:
        return KeyState.REVOKED
    if is_over(key, at):
        return KeyState.OVER
    return KeyState.LIVE if at >= key.not_before else KeyState.COMING
