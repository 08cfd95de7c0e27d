"""What is asked for by hand as commands of the ledger, and as a proposal that is read again later."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.ledger.core.commands import AccountRef, Command, PostHold, Reserve, Reverse, Transfer, VoidHold
from services.points.postings.schemas import (
    AccountIn,
    AccountName,
    BatchIn,
    HoldIn,
    HoldPostIn,
    HoldVoidIn,
    Move,
    ReversalIn,
    TransferIn,
)
from services.points.postings.tables import Proposal
from services.points.postings.terms import PROPOSAL_LIFE, Act, ProposalKind, ProposalState

_SALT_BYTES = 16

Body = TransferIn | BatchIn | ReversalIn | HoldIn | HoldPostIn | HoldVoidIn

KINDS: dict[ProposalKind, type[BatchIn | ReversalIn | HoldIn | HoldPostIn]] = {
    ProposalKind.TRANSFERS: BatchIn,
    ProposalKind.REVERSAL: ReversalIn,
    ProposalKind.HOLD: HoldIn,
    ProposalKind.POST: HoldPostIn,
}
ACTS: dict[type[Body], Act] = {
    TransferIn: Act.TRANSFER,
    BatchIn: Act.TRANSFER,
    ReversalIn: Act.REVERSAL,
    HoldIn: Act.HOLD,
    HoldPostIn: Act.POST,
    HoldVoidIn: Act.VOID,
}


@dataclass(slots=True, eq=False)
class Ask:
    """An administrator asks for something by hand. `target` is the transfer or hold that it is about.

    The id becomes that of the proposal, where it comes to one; references that nobody gave are made of it.
    """

    actor: Actor
    body: Body
    target: UUID | None = None
    id: UUID = field(default_factory=new_id)


class Plan(NamedTuple):
    """A request as commands, the salts of their reasons' hashes, and where each stands in the body."""

    commands: list[Command]
    salts: list[bytes]
    prefixes: list[str]
    linked: list[bool]
    atomic: bool


def plan(ask: Ask, at: datetime) -> Plan:
    """The request as commands. The salts are new each time."""
    body = ask.body
    if not isinstance(body, BatchIn):
        salt = secrets.token_bytes(_SALT_BYTES)
        return Plan([_command(ask, at, hash_of(salt, body.reason))], [salt], ["body"], [False], True)
    salts = [secrets.token_bytes(_SALT_BYTES) for _ in body.transfers]
    commands: list[Command] = [
        _transfer(move, f"hand/{ask.id}/{number}", at, hash_of(salt, body.reason))
        for number, (move, salt) in enumerate(zip(body.transfers, salts, strict=True))
    ]
    prefixes = [f"body.transfers.{number}" for number in range(len(commands))]
    return Plan(commands, salts, prefixes, [move.linked for move in body.transfers], body.atomic)


def _transfer(move: Move, reference: str, at: datetime, text_hash: bytes) -> Transfer:
    return Transfer(
        debit=_ref(move.debit),
        credit=_ref(move.credit),
        amount=move.amount,
        code=move.code,
        reference=move.reference or reference,
        occurred_at=move.occurred_at or at,
        text_hash=text_hash,
    )


def _command(ask: Ask, at: datetime, text_hash: bytes) -> Command:
    body, reference = ask.body, f"hand/{ask.id}"
    match body:
        case TransferIn():
            return _transfer(body, reference, at, text_hash)
        case HoldIn():
            return Reserve(
                debit=_ref(body.debit),
                credit=_ref(body.credit),
                amount=body.amount,
                code=body.code,
                reference=body.reference or reference,
                occurred_at=body.occurred_at or at,
                lapses_at=body.lapses_at,
            )
    assert ask.target is not None, "it is about a transfer or a hold"
    match body:
        case ReversalIn():
            return Reverse(
                transfer_id=ask.target,
                reference=body.reference or reference,
                occurred_at=body.occurred_at or at,
                amount=body.amount,
                text_hash=text_hash,
            )
        case HoldPostIn():
            return PostHold(
                hold_id=ask.target, occurred_at=body.occurred_at or at, amount=body.amount, text_hash=text_hash
            )
        case HoldVoidIn():
            return VoidHold(hold_id=ask.target)
    raise AssertionError("unreachable")


def _ref(account: AccountIn) -> AccountRef:
    return account.key if isinstance(account, AccountName) else account


def hash_of(salt: bytes, words: str) -> bytes:
    """What a transfer keeps of its reason: SHA-256 of the salt and the words, in UTF-8."""
    return hashlib.sha256(salt + words.encode()).digest()


def proposal(ask: Ask, points: int, items: int, at: datetime) -> Proposal:
    """The request as it waits for a second administrator."""
    body = ask.body
    match body:
        case TransferIn():
            # A single transfer is kept as a batch of one: there is one kind of proposal to read.
            move = body.model_dump(mode="json", exclude={"reason"})
            kind, request = ProposalKind.TRANSFERS, {"atomic": True, "transfers": [move]}
        case BatchIn():
            kind, request = ProposalKind.TRANSFERS, body.model_dump(mode="json", exclude={"reason"})
        case ReversalIn():
            # "All that is left" is so many points now: the second administrator agrees to these and no others.
            kind, request = ProposalKind.REVERSAL, body.model_dump(mode="json", exclude={"reason"}) | {"amount": points}
        case HoldIn():
            kind, request = ProposalKind.HOLD, body.model_dump(mode="json", exclude={"reason"})
        case _:
            kind, request = ProposalKind.POST, body.model_dump(mode="json", exclude={"reason"})
    return Proposal(
        id=ask.id,
        kind=kind,
        request={"target": str(ask.target) if ask.target else None, "body": request},
        reason=body.reason,
        items=items,
        points=points,
        proposed_by=ask.actor.id,
        proposed_at=at,
        lapses_at=at + PROPOSAL_LIFE,
        state=ProposalState.PENDING,
        decided_by=None,
        decided_at=None,
        remark=None,
        erased_by=None,
        erased_at=None,
    )


def asked_by(proposal: Proposal) -> Ask:
    """What a proposal asks for: it comes to the same references as when it was made."""
    asked = proposal.request
    body = KINDS[proposal.kind].model_validate(asked["body"] | {"reason": proposal.reason})
    proposer = Actor(proposal.proposed_by, frozenset({"administrator"}), None, None, None)
    return Ask(proposer, body, UUID(asked["target"]) if asked["target"] else None, proposal.id)
