"""HTTP of transfers, holds and proposals: administrators post by hand, auditors read."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from chassis.core.actor import Actor
from chassis.core.errors import DomainError, FieldError, Invalid
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.auth import runtime_of
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.deps import AtTheWriter, require_key
from services.points.ledger import errors as ledger
from services.points.ledger.core.state import Result
from services.points.permissions import MayAdminister, MayReadLedger
from services.points.postings import actions, queries
from services.points.postings.actions import Approve, Outcome
from services.points.postings.answers import (
    ApprovedOut,
    BatchOut,
    HoldChangedOut,
    HoldOut,
    ItemOut,
    PostedOut,
    ProposedOut,
    TrialItemOut,
    TrialOut,
)
from services.points.postings.errors import (
    LinkedFailed,
    LinkOpen,
    NotByHand,
    OccurredAhead,
    OwnPoints,
    OwnProposal,
    ProposalClosed,
    ProposalLapsed,
    ProposalNotFound,
)
from services.points.postings.plans import Ask, Body
from services.points.postings.records import ProposalDetail, ProposalOut, TransferDetail, TransferOut
from services.points.postings.schemas import (
    BatchIn,
    HoldIn,
    HoldPostIn,
    HoldVoidIn,
    Nothing,
    ProposalFilters,
    RejectionIn,
    ReversalIn,
    TransferFilters,
    TransferIn,
)

transfers = Router(prefix="/api/points/transfers", tags=["transfers"])
holds = Router(prefix="/api/points/holds", tags=["holds"])
proposals = Router(prefix="/api/points/postings", tags=["postings by hand"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Required, but for a dry run. Repeat the request with the same key to get the first answer again.",
    ),
]

MOVING = (
    *(ledger.AccountNotFound, NotByHand, ledger.SameAccount, ledger.LedgersMixed, ledger.ReferenceUsed),
    *(OccurredAhead, ledger.AmountNotPositive, ledger.AmountTooLarge, ledger.InsufficientPoints),
)
HOLDING = (ledger.HoldNotFound, ledger.HoldAlreadyPosted, ledger.HoldVoided, ledger.HoldLapsed)
REVERSING = (
    ledger.TransferNotFound,
    ledger.NotReversible,
    NotByHand,
    ledger.ReversalExceedsTransfer,
    ledger.SameAccount,
)


def _answers(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """What every route here may answer besides having done it."""
    return {
        200: {"model": TrialOut, "description": "A dry run: what would come out. Nothing was written."},
        202: {"model": ProposedOut, "description": "Another administrator has to approve it. Nothing has moved."},
        **problems(*errors),
    }


class Desk:
    """Where an administrator posts by hand."""

    def __init__(self, request: Request, actor: Actor) -> None:
        self.actor = actor
        self.writer = AtTheWriter(request)
        self.by_hand: actions.ByHand = request.app.state.by_hand
        self._runtime = runtime_of(request)

    async def post(
        self,
        body: Body,
        render: Callable[[Outcome], BaseModel],
        key: str | None,
        dry_run: bool,
        *,
        target: UUID | None = None,
        status: int = 201,
        size: int = 1,
    ) -> Response:
        """Carry out what is asked, propose it, or say what would come of it. Without a dry run, a key is required."""
        ask = Ask(self.actor, body, target)
        if dry_run:
            return await self._try(ask)
        if key is None:
            raise Invalid(fields=[FieldError("header.Idempotency-Key", "Field required")])
        return await self.writer.answer(
            self.by_hand,
            ask,
            lambda outcome: ProposedOut.of(outcome.proposal) if outcome.proposal else render(outcome),
            status=lambda outcome: 202 if outcome.proposal else status,
            size=size,
        )

    async def _try(self, ask: Ask) -> Response:
        async with self._runtime.db.sessions() as session:
            outcome, needs_approval = await actions.try_out(session, self.by_hand, ask)
        results = [TrialItemOut.of(result) for result in outcome.results]
        trial = TrialOut(needs_approval=needs_approval, points=outcome.points, results=results)
        return JSONResponse(trial.model_dump(mode="json"))


async def _desk(request: Request, actor: MayAdminister) -> Desk:  # async: FastAPI takes a thread for any other
    return Desk(request, actor)


DeskDep = Annotated[Desk, Depends(_desk)]


def _only(outcome: Outcome) -> Result:
    [result] = outcome.results
    assert isinstance(result, Result), "what is refused was raised"
    return result


def _posted(outcome: Outcome) -> PostedOut:
    return PostedOut.of(_only(outcome))


def _hold(outcome: Outcome) -> HoldChangedOut:
    return HoldChangedOut.of(_only(outcome), outcome.at)


def _batch(outcome: Outcome) -> BatchOut:
    return BatchOut(results=[ItemOut.of(result, outcome.at) for result in outcome.results])


def _approved(outcome: Outcome) -> ApprovedOut:
    assert outcome.proposal is not None, "it was approved"
    results = [ItemOut.of(result, outcome.at) for result in outcome.results]
    return ApprovedOut(id=outcome.proposal.id, state=outcome.proposal.state, results=results)


@transfers.post("", status_code=201, response_model=PostedOut, responses=_answers(*MOVING))
async def post_transfer(body: TransferIn, desk: DeskDep, key: Key = None, dry_run: bool = False) -> Response:
    """手工记账: points from one account to another, for a reason that is kept with the transfer.

    Above a limit, and where it moves points of one's own or one's household's, it waits for another administrator.
    """
    return await desk.post(body, _posted, key, dry_run)


@transfers.post("/batch", response_model=BatchOut, responses=_answers(*MOVING, LinkOpen, LinkedFailed))
async def post_batch(body: BatchIn, desk: DeskDep, key: Key = None, dry_run: bool = False) -> Response:
    """批量记账: up to 5,000 transfers for one reason, in one transaction, with one result each, in their order.

    A transfer that is `linked` succeeds or fails together with the next one. With `atomic`, all of them do: then the
    first refusal is the answer. For the limit above which another administrator is asked, their sum counts.
    """
    return await desk.post(body, _batch, key, dry_run, status=200, size=len(body.transfers))


@transfers.post(
    "/{transfer_id}/reverse",
    status_code=201,
    response_model=PostedOut,
    responses=_answers(*REVERSING, ledger.ReferenceUsed, OccurredAhead),
)
async def reverse_transfer(
    transfer_id: UUID, body: ReversalIn, desk: DeskDep, key: Key = None, dry_run: bool = False
) -> Response:
    """冲正: take a transfer back, in whole or part, by a new one that points at it.

    An award that was spent already leaves a debt. What was paid for a coupon comes back with the coupon, not here.
    """
    return await desk.post(body, _posted, key, dry_run, target=transfer_id)


@transfers.get("", responses=problems(InvalidCursor))
async def list_transfers(
    filters: Annotated[TransferFilters, Query()], actor: MayReadLedger, session: SessionDep, cursors: CursorsDep
) -> Page[TransferOut]:
    """交易: of both ledgers or one, the last posted first; for auditors and administrators."""
    return await queries.list_transfers(session, cursors, filters)


@transfers.get("/{transfer_id}", responses=problems(ledger.TransferNotFound))
async def show_transfer(transfer_id: UUID, actor: MayReadLedger, session: SessionDep) -> TransferDetail:
    """One transfer, and, where it was posted by hand, by whom and why; for auditors and administrators."""
    return await queries.transfer_detail(session, transfer_id)


@transfers.delete("/{transfer_id}/reason", status_code=204, responses=problems(ledger.TransferNotFound))
async def erase_reason(transfer_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Erase the words that say why a transfer was posted, where they tell what must not be kept.

    The transfer stays as it was, with the hash of the words, and so do its seals. Who erased them is shown with it.
    """
    await actions.erase_reason(session, actor, transfer_id)


@holds.post("", status_code=201, response_model=HoldChangedOut, responses=_answers(*MOVING, ledger.LapseNotAhead))
async def post_hold(body: HoldIn, desk: DeskDep, key: Key = None, dry_run: bool = False) -> Response:
    """冻结: keep points of an account for a purpose. What nobody posts is given back by itself at `lapses_at`."""
    return await desk.post(body, _hold, key, dry_run)


@holds.post(
    "/{hold_id}/post",
    status_code=201,
    response_model=HoldChangedOut,
    responses=_answers(*HOLDING, ledger.HoldExceeded, ledger.SameAccount, OccurredAhead),
)
async def post_held(hold_id: UUID, body: HoldPostIn, desk: DeskDep, key: Key = None, dry_run: bool = False) -> Response:
    """冻结入账: transfer what is held, in whole or part; the rest is given back. Once only."""
    return await desk.post(body, _hold, key, dry_run, target=hold_id)


@holds.post("/{hold_id}/void", response_model=HoldChangedOut, responses=problems(*HOLDING, OwnPoints))
async def void_hold(hold_id: UUID, body: HoldVoidIn, desk: DeskDep, key: Key = None) -> Response:
    """解冻: give back all that is held; what is one's own or one's household's, another administrator does."""
    return await desk.post(body, _hold, key, False, target=hold_id, status=200)


@holds.get("/{hold_id}", responses=problems(ledger.HoldNotFound))
async def show_hold(hold_id: UUID, actor: MayReadLedger, session: SessionDep) -> HoldOut:
    """One hold; for auditors and administrators."""
    return await queries.hold_detail(session, hold_id)


@proposals.get("", responses=problems(InvalidCursor))
async def list_proposals(
    filters: Annotated[ProposalFilters, Query()], actor: MayReadLedger, session: SessionDep, cursors: CursorsDep
) -> Page[ProposalOut]:
    """待复核记账: what was asked for by hand and needed a second administrator, the latest first."""
    return await queries.list_proposals(session, cursors, filters)


@proposals.get("/{proposal_id}", responses=problems(ProposalNotFound))
async def show_proposal(proposal_id: UUID, actor: MayReadLedger, session: SessionDep) -> ProposalDetail:
    """One proposal with all that it asks for."""
    return await queries.proposal_detail(session, proposal_id)


@proposals.post(
    "/{proposal_id}/approve",
    response_model=ApprovedOut,
    dependencies=[Depends(require_key)],
    responses=problems(
        *(ProposalNotFound, ProposalClosed, ProposalLapsed, OwnProposal, OwnPoints, LinkedFailed),
        *(*MOVING, *HOLDING, *REVERSING, ledger.HoldExceeded, ledger.LapseNotAhead),
    ),
)
async def approve_proposal(proposal_id: UUID, desk: DeskDep, body: Nothing | None = None) -> Response:
    """复核通过: carry out what another administrator has proposed, in the same step, as it was proposed.

    Where the ledger refuses it now, the proposal stays as it was.
    """
    return await desk.writer.answer(desk.by_hand, Approve(desk.actor, proposal_id), _approved)


@proposals.post(
    "/{proposal_id}/reject", responses=problems(ProposalNotFound, ProposalClosed, ProposalLapsed, OwnProposal)
)
async def reject_proposal(
    proposal_id: UUID, body: RejectionIn, actor: MayAdminister, session: SessionDep
) -> ProposalOut:
    """复核退回: another administrator says no, and why. Nothing has moved, and nothing will."""
    return await actions.reject(session, actor, proposal_id, body.reason)
