"""HTTP of transfers, holds and proposals: administrators post by hand, auditors read."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from chassis.core.actor import Actor
from chassis.core.errors import DomainError, FieldError, Invalid
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
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
    ItemOut,
    PostedOut,
    ProposedOut,
    TrialItemOut,
    TrialOut,
)
from services.points.postings.errors import (
    HouseholdUnknown,
    LinkedFailed,
    LinkOpen,
    NotByHand,
    OccurredAhead,
    OwnPoints,
    OwnProposal,
    ProposalClosed,
    ProposalLapsed,
    ProposalNotFound,
    ProposalPending,
)
from services.points.postings.plans import Ask, Body
from services.points.postings.records import HoldDetail, ProposalDetail, ProposalOut, TransferDetail, TransferOut
from services.points.postings.schemas import (
    BatchIn,
    HoldIn,
    HoldPostIn,
    HoldVoidIn,
    ProposalFilters,
    RejectionIn,
    ReversalIn,
    TransferFilters,
    TransferIn,
)

transfers = Router(prefix="/api/points/transfers", tags=["transfers"])
holds = Router(prefix="/api/points/holds", tags=["holds"])
proposals = Router(prefix="/api/points/postings", tags=["postings by hand"])

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Required, but for a dry run. Repeat the request with the same key to get the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "Say what would come out, and write nothing.",
    "schema": {"type": "boolean", "default": False},
}
# The desk reads these itself. Of what a transfer costs, FastAPI's way of reading two parameters is a tenth.
_KEYED = {"parameters": [_KEY]}
_MAY_BE_TRIED = {"parameters": [_DRY_RUN, _KEY]}
_flag = TypeAdapter(bool)

MOVING = (
    *(ledger.AccountNotFound, HouseholdUnknown, NotByHand, ledger.SameAccount, ledger.LedgersMixed),
    *(ledger.ReferenceUsed, OccurredAhead, ledger.AmountNotPositive, ledger.AmountTooLarge, ledger.InsufficientPoints),
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
        self._request = request
        self._actor = actor
        self._by_hand: actions.ByHand = request.app.state.by_hand

    async def post(
        self,
        body: Body,
        render: Callable[[Outcome], object],
        *,
        target: UUID | None = None,
        status: int = 201,
        size: int = 1,
    ) -> Response:
        """Carry out what is asked, or propose it; in a dry run, say what would come of it."""
        ask = Ask(self._actor, body, target)
        if _is_dry_run(self._request):
            return await self._try(ask)
        return await self.carry_out(ask, render, status=status, size=size)

    async def carry_out(self, ask: Ask, render: Callable[[Outcome], object], *, status: int, size: int = 1) -> Response:
        """Carry out what is asked, or propose it, once for each Idempotency-Key. Raises Invalid without one."""
        if "Idempotency-Key" not in self._request.headers:
            raise Invalid(fields=[FieldError("header.Idempotency-Key", "Field required")])
        return await AtTheWriter(self._request).answer(
            self._by_hand,
            ask,
            lambda outcome: ProposedOut.of(outcome.proposal) if outcome.proposal else render(outcome),
            status=lambda outcome: 202 if outcome.proposal else status,
            size=size,
        )

    async def _try(self, ask: Ask) -> Response:
        async with runtime_of(self._request).db.sessions() as session:
            outcome, needs_approval = await actions.try_out(session, self._by_hand, ask)
        results = [TrialItemOut.of(result) for result in outcome.results]
        trial = TrialOut(needs_approval=needs_approval, points=outcome.points, results=results)
        return JSONResponse(trial.model_dump(mode="json"))


def _is_dry_run(request: Request) -> bool:
    try:
        return _flag.validate_python(request.query_params.get("dry_run", False))
    except ValidationError as error:
        raise Invalid(fields=[FieldError("query.dry_run", error.errors()[0]["msg"])]) from None


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


@transfers.post("", status_code=201, response_model=PostedOut, responses=_answers(*MOVING), openapi_extra=_MAY_BE_TRIED)
async def post_transfer(request: Request, body: TransferIn, actor: MayAdminister) -> Response:
    """手工记账: points from one account to another, for a reason that is kept with the transfer.

    Above a limit, and where it moves points of one's own or one's household's, it waits for another administrator.
    """
    return await Desk(request, actor).post(body, _posted)


@transfers.post(
    "/batch",
    response_model=BatchOut,
    responses=_answers(*MOVING, LinkOpen, LinkedFailed),
    openapi_extra=_MAY_BE_TRIED,
)
async def post_batch(request: Request, body: BatchIn, actor: MayAdminister) -> Response:
    """批量记账: up to 5,000 transfers for one reason, in one transaction, with one result each, in their order.

    A transfer that is `linked` succeeds or fails together with the next one. With `atomic`, all of them do: then the
    first refusal is the answer. For the limit above which another administrator is asked, their sum counts. A dry run
    reads and decides as the batch itself would: it is bounded by 5,000 transfers, and by the time for one statement.
    """
    return await Desk(request, actor).post(body, _batch, status=200, size=len(body.transfers))


@transfers.post(
    "/{transfer_id}/reverse",
    status_code=201,
    response_model=PostedOut,
    responses=_answers(*REVERSING, ledger.ReferenceUsed, OccurredAhead),
    openapi_extra=_MAY_BE_TRIED,
)
async def reverse_transfer(request: Request, transfer_id: UUID, body: ReversalIn, actor: MayAdminister) -> Response:
    """冲正: take a transfer back, in whole or part, by a new one that points at it.

    An award that was spent already leaves a debt. What was paid for a coupon comes back with the coupon, not here.
    """
    return await Desk(request, actor).post(body, _posted, target=transfer_id)


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

    They are erased wherever they stand: with the other transfers of its batch, and with its proposal. The transfers
    stay as they were, with the hashes of the words, and so do their seals. Who erased them is shown.
    """
    await actions.erase_reason(session, actor, transfer_id)


@holds.post(
    "",
    status_code=201,
    response_model=HoldChangedOut,
    responses=_answers(*MOVING, ledger.LapseNotAhead),
    openapi_extra=_MAY_BE_TRIED,
)
async def post_hold(request: Request, body: HoldIn, actor: MayAdminister) -> Response:
    """冻结: keep points of an account for a purpose. What nobody posts is given back by itself at `lapses_at`."""
    return await Desk(request, actor).post(body, _hold)


@holds.post(
    "/{hold_id}/post",
    status_code=201,
    response_model=HoldChangedOut,
    responses=_answers(*HOLDING, ledger.HoldExceeded, ledger.SameAccount, OccurredAhead),
    openapi_extra=_MAY_BE_TRIED,
)
async def post_held(request: Request, hold_id: UUID, body: HoldPostIn, actor: MayAdminister) -> Response:
    """冻结入账: transfer what is held, in whole or part; the rest is given back. Once only."""
    return await Desk(request, actor).post(body, _hold, target=hold_id)


@holds.post(
    "/{hold_id}/void",
    response_model=HoldChangedOut,
    responses=problems(*HOLDING, OwnPoints),
    openapi_extra=_KEYED,
)
async def void_hold(request: Request, hold_id: UUID, body: HoldVoidIn, actor: MayAdminister) -> Response:
    """解冻: give back all that is held; what is one's own or one's household's, another administrator does."""
    return await Desk(request, actor).carry_out(Ask(actor, body, hold_id), _hold, status=200)


@holds.get("/{hold_id}", responses=problems(ledger.HoldNotFound))
async def show_hold(hold_id: UUID, actor: MayReadLedger, session: SessionDep) -> HoldDetail:
    """One hold, and who made or voided it by hand, and why; for auditors and administrators."""
    return await queries.hold_detail(session, hold_id)


@holds.delete("/{hold_id}/reason", status_code=204, responses=problems(ledger.HoldNotFound))
async def erase_hold_reasons(hold_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Erase the words that say why a hold was made or voided, with its proposal's. Those of its transfer, if it was
    posted, are erased there. Who erased them is shown.
    """
    await actions.erase_hold_reasons(session, actor, hold_id)


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


@proposals.delete("/{proposal_id}/reason", status_code=204, responses=problems(ProposalNotFound, ProposalPending))
async def erase_proposal_words(proposal_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Erase why something was proposed, and why it was rejected; the reason of what came of it goes with that.

    What still waits for a decision is rejected first. Who erased them is shown.
    """
    await actions.erase_proposal_words(session, actor, proposal_id)


@proposals.post(
    "/{proposal_id}/approve",
    response_model=ApprovedOut,
    dependencies=[Depends(require_key)],
    responses=problems(
        *(ProposalNotFound, ProposalClosed, ProposalLapsed, OwnProposal, OwnPoints, LinkedFailed),
        *(*MOVING, *HOLDING, *REVERSING, ledger.HoldExceeded, ledger.LapseNotAhead),
    ),
)
async def approve_proposal(
    request: Request, proposal_id: UUID, actor: MayAdminister, body: Nothing | None = None
) -> Response:
    """复核通过: carry out what another administrator has proposed, in the same step, as it was proposed.

    Where the ledger refuses it now, the proposal stays as it was.
    """
    by_hand: actions.ByHand = request.app.state.by_hand
    return await AtTheWriter(request).answer(by_hand, Approve(actor, proposal_id), _approved)


@proposals.post(
    "/{proposal_id}/reject", responses=problems(ProposalNotFound, ProposalClosed, ProposalLapsed, OwnProposal)
)
async def reject_proposal(
    proposal_id: UUID, body: RejectionIn, actor: MayAdminister, session: SessionDep
) -> ProposalOut:
    """复核退回: another administrator says no, and why. Nothing has moved, and nothing will."""
    return await actions.reject(session, actor, proposal_id, body.reason)
