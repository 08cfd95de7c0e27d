"""What is done by hand, and what becomes of what needs a second administrator."""

from datetime import timedelta
from enum import StrEnum

from services.points.ledger.terms import Purpose, TransferCode

MAX_ITEMS = 5000
"""Transfers in a batch."""

MAX_POINTS = 10**12
"""Points in one transfer by hand: the sum of a full batch is still a number that every JSON reader keeps exactly."""

PROPOSAL_DAYS = 7
PROPOSAL_LIFE = timedelta(days=PROPOSAL_DAYS)
"""How long a proposal waits for the second administrator (our own choice)."""

HAND_PURPOSES = frozenset({Purpose.WALLET, Purpose.ISSUANCE, Purpose.EXPIRED})
"""The accounts that are posted to by hand. The others equal the open coupons and the bills at any moment, and move with
these alone.
"""

HAND_REVERSIBLE = frozenset({TransferCode.AWARD, TransferCode.ADJUSTMENT, TransferCode.ACTIVITY})
"""What is reversed by hand. What was paid for a coupon comes back with the coupon."""


class Act(StrEnum):
    """What an administrator did by hand."""

    TRANSFER = "transfer"
    REVERSAL = "reversal"
    HOLD = "hold"
    POST = "post"  # of a hold
    VOID = "void"  # of a hold
    COUPON = "coupon"  # it was returned, refunded, or taken out of use


class ProposalKind(StrEnum):
    """What a proposal would do."""

    TRANSFERS = "transfers"
    REVERSAL = "reversal"
    HOLD = "hold"
    POST = "post"


class ProposalState(StrEnum):
    """What became of a proposal. One that nobody decided on in time has lapsed; no row says so."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    LAPSED = "lapsed"
