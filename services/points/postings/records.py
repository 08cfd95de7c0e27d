"""What auditors and administrators read: transfers and proposals as they stand."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from chassis.core.schema import Out
from services.points.ledger.tables import Account, Transfer
from services.points.ledger.terms import Purpose, TransferCode
from services.points.postings.answers import HoldOut
from services.points.postings.tables import ByHand, Proposal
from services.points.postings.terms import Act, ProposalKind, ProposalState
from services.points.terms import LedgerName, OwnerKind


class ProposalOut(Out):
    """A proposal. `remark` says why it was rejected. Both it and `reason` are null once they were erased:
    `reason_erased_by` says by whom.
    """

    id: UUID
    kind: ProposalKind
    state: ProposalState
    items: int
    points: int
    reason: str | None
    proposed_by: UUID
    proposed_at: datetime
    lapses_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    remark: str | None
    reason_erased_by: UUID | None

    @classmethod
    def of(cls, proposal: Proposal, at: datetime) -> Self:
        """The proposal as it is at `at`."""
        return cls(**_shown(proposal, at))


class ProposalDetail(ProposalOut):
    """A proposal with what it asks for: the body of the request, and the transfer or hold that it is about."""

    target: UUID | None
    request: dict[str, Any]

    @classmethod
    def of(cls, proposal: Proposal, at: datetime) -> Self:
        """The whole proposal as it is at `at`."""
        asked = proposal.request
        return cls(**_shown(proposal, at), target=asked["target"], request=asked["body"])


def _shown(proposal: Proposal, at: datetime) -> dict[str, Any]:
    lapsed = proposal.state is ProposalState.PENDING and proposal.lapses_at <= at
    return {
        "id": proposal.id,
        "kind": proposal.kind,
        "state": ProposalState.LAPSED if lapsed else proposal.state,
        "items": proposal.items,
        "points": proposal.points,
        "reason": proposal.reason,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "lapses_at": proposal.lapses_at,
        "decided_by": proposal.decided_by,
        "decided_at": proposal.decided_at,
        "remark": proposal.remark,
        "reason_erased_by": proposal.erased_by,
    }


class PartyOut(Out):
    """An account of a transfer: whose it is, and its balance and version right after that transfer."""

    account_id: UUID
    owner_kind: OwnerKind
    owner_id: UUID
    purpose: Purpose
    balance: int
    version: int


class RuleRef(Out):
    """The version of a rule by which points were awarded."""

    code: str
    version: int


class TransferOut(Out):
    """A transfer as it stands in the ledger, for ever."""

    id: UUID
    ledger: LedgerName
    sequence: int
    code: TransferCode
    amount: int
    reference: str
    occurred_at: datetime
    posted_at: datetime
    rule: RuleRef | None
    reverses: UUID | None
    hold: UUID | None
    debit: PartyOut
    credit: PartyOut

    @classmethod
    def of(cls, transfer: Transfer, accounts: Mapping[UUID, Account]) -> Self:
        """The transfer as it is shown."""
        return cls(**_stated(transfer, accounts))


class TransferDetail(TransferOut):
    """A transfer, how much of it was reversed so far, and, where it was posted by hand, by whom and why.

    `reason` is null where none was given, or it was erased: `reason_erased_by` says by whom.
    """

    reversed: int
    reason: str | None
    reason_erased_by: UUID | None
    posted_by: UUID | None
    approved_by: UUID | None
    proposal: UUID | None


class HandActOut(Out):
    """Who made or voided a hold by hand, who approved that, and why; `reason` is null once it was erased."""

    act: Act
    done_by: UUID
    done_at: datetime
    approved_by: UUID | None
    proposal: UUID | None
    reason: str | None
    reason_erased_by: UUID | None

    @classmethod
    def of(cls, row: ByHand) -> Self:
        """The act as it is shown."""
        return cls(
            act=row.act,
            done_by=row.done_by,
            done_at=row.done_at,
            approved_by=row.approved_by,
            proposal=row.proposal_id,
            reason=row.reason,
            reason_erased_by=row.erased_by,
        )


class HoldDetail(HoldOut):
    """A hold, and what was done with it by hand. That it was posted is told by its transfer."""

    by_hand: list[HandActOut]


def _stated(transfer: Transfer, accounts: Mapping[UUID, Account]) -> dict[str, Any]:
    rule = None
    if transfer.rule_code is not None and transfer.rule_version is not None:
        rule = RuleRef(code=transfer.rule_code, version=transfer.rule_version)
    return {
        "id": transfer.id,
        "ledger": transfer.ledger,
        "sequence": transfer.sequence,
        "code": transfer.code,
        "amount": transfer.amount,
        "reference": transfer.reference,
        "occurred_at": transfer.occurred_at,
        "posted_at": transfer.posted_at,
        "rule": rule,
        "reverses": transfer.reverses_id,
        "hold": transfer.hold_id,
        "debit": _party(accounts[transfer.debit_account_id], transfer.debit_balance, transfer.debit_version),
        "credit": _party(accounts[transfer.credit_account_id], transfer.credit_balance, transfer.credit_version),
    }


def _party(account: Account, balance: int, version: int) -> PartyOut:
    return PartyOut(
        account_id=account.id,
        owner_kind=account.owner_kind,
        owner_id=account.owner_id,
        purpose=account.purpose,
        balance=balance,
        version=version,
    )
