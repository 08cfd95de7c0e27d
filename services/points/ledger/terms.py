"""What an account is called, and what a transfer is for."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID, uuid5

from services.points.terms import LedgerName, OwnerKind

_ACCOUNTS = UUID("5b6c3a2e-0f5d-5c1a-9d7e-2f6a4c1b8e90")
_SYSTEM = UUID(int=0)


class Purpose(StrEnum):
    """What an account holds."""

    WALLET = "wallet"  # an owner's points
    ISSUANCE = "issuance"  # minus what the system has issued
    COUPON_LIABILITY = "coupon_liability"  # what open coupons stand for
    MERCHANT_PAYABLE = "merchant_payable"  # what a merchant is owed for used coupons
    SETTLED = "settled"  # what merchants were paid
    EXPIRED = "expired"  # what nobody spent in time


class TransferCode(StrEnum):
    """Why points moved."""

    AWARD = "award"
    REVERSAL = "reversal"
    REDEMPTION = "redemption"  # a wallet pays for a coupon
    USE = "use"  # a merchant took a coupon
    MERGER = "merger"  # a household joined another, and its points with it
    EXPIRY = "expiry"  # a lot was not spent in time
    ACTIVITY = "activity"  # a place in a premium activity
    SETTLEMENT = "settlement"  # a merchant was paid
    ADJUSTMENT = "adjustment"  # by hand, with a reason


class HoldState(StrEnum):
    """What became of a hold."""

    OPEN = "open"
    POSTED = "posted"
    VOIDED = "voided"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """What tells one account from another. Its id follows from it, known before the account is opened."""

    ledger: LedgerName
    owner_kind: OwnerKind
    owner_id: UUID
    purpose: Purpose = Purpose.WALLET

    @property
    def id(self) -> UUID:
        """The account's id, the same in every installation."""
        return _id_of(self)

    @property
    def floor(self) -> int | None:
        """The least that spending may leave available; none for the system, which issues what is awarded."""
        return 0 if self.purpose is Purpose.WALLET else None

    @property
    def keeps_lots(self) -> bool:
        """Whether its points expire, and so are kept in lots: civic wallets. Staff points cannot be spent at all."""
        return self.purpose is Purpose.WALLET and self.ledger is LedgerName.CIVIC


@lru_cache(maxsize=2**14)
def _id_of(key: AccountKey) -> UUID:
    return uuid5(_ACCOUNTS, f"{key.ledger}/{key.owner_kind}/{key.owner_id}/{key.purpose}")


def household_wallet(household_id: UUID) -> AccountKey:
    """志愿积分: the points of a household, earned and spent by all of it."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, household_id)


def coupon_liability() -> AccountKey:
    """The account of all open coupons: its balance is the sum of what they cost."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.SYSTEM, _SYSTEM, Purpose.COUPON_LIABILITY)


def merchant_payable(merchant_id: UUID) -> AccountKey:
    """What a merchant has earned by used coupons and was not paid yet, in points."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.MERCHANT, merchant_id, Purpose.MERCHANT_PAYABLE)


def merchants_settled() -> AccountKey:
    """What merchants were paid for, in points."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.SYSTEM, _SYSTEM, Purpose.SETTLED)


def expired(ledger: LedgerName) -> AccountKey:
    """The account that all points go to which were not spent in time."""
    return AccountKey(ledger, OwnerKind.SYSTEM, _SYSTEM, Purpose.EXPIRED)


def issuance(ledger: LedgerName) -> AccountKey:
    """The account that all awards of a ledger come out of: minus what is in circulation."""
    return AccountKey(ledger, OwnerKind.SYSTEM, _SYSTEM, Purpose.ISSUANCE)
