"""What an account is called, and what a transfer is for."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from services.points.terms import LedgerName, OwnerKind

_ACCOUNTS = UUID("5b6c3a2e-0f5d-5c1a-9d7e-2f6a4c1b8e90")
_SYSTEM = UUID(int=0)


class Purpose(StrEnum):
    """What an account holds: an owner's points, or what the system has issued."""

    WALLET = "wallet"
    ISSUANCE = "issuance"


class TransferCode(StrEnum):
    """Why points moved."""

    AWARD = "award"
    REVERSAL = "reversal"


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


def issuance(ledger: LedgerName) -> AccountKey:
    """The account that all awards of a ledger come out of: minus what is in circulation."""
    return AccountKey(ledger, OwnerKind.SYSTEM, _SYSTEM, Purpose.ISSUANCE)
