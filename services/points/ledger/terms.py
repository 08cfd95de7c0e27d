"""What an account is called, and what a transfer is for."""

from dataclasses import dataclass
from enum import StrEnum
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


class TransferCode(StrEnum):
    """Why points moved."""

    AWARD = "award"
    REVERSAL = "reversal"
    REDEMPTION = "redemption"  # a wallet pays for a coupon
    USE = "use"  # a merchant took a coupon
    MERGER = "merger"  # a household joined another, and its points with it


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
        return uuid5(_ACCOUNTS, f"{self.ledger}/{self.owner_kind}/{self.owner_id}/{self.purpose}")

    @property
    def floor(self) -> int | None:
        """The least that spending may leave available; none for the system, which issues what is awarded."""
        return 0 if self.purpose is Purpose.WALLET else None


def household_wallet(household_id: UUID) -> AccountKey:
    """志愿积分: the points of a household, earned and spent by all of it."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, household_id)


def coupon_liability() -> AccountKey:
    """The account of all open coupons: its balance is the sum of what they cost."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.SYSTEM, _SYSTEM, Purpose.COUPON_LIABILITY)


def merchant_payable(merchant_id: UUID) -> AccountKey:
    """What a merchant has earned by used coupons and was not paid yet, in points."""
    return AccountKey(LedgerName.CIVIC, OwnerKind.MERCHANT, merchant_id, Purpose.MERCHANT_PAYABLE)


def issuance(ledger: LedgerName) -> AccountKey:
    """The account that all awards of a ledger come out of: minus what is in circulation."""
    return AccountKey(ledger, OwnerKind.SYSTEM, _SYSTEM, Purpose.ISSUANCE)
