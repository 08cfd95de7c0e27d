"""存证 over HTTP: heads and keys for everybody, receipts for whoever may read the transfer."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import Field

from chassis.core.schema import In, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.ledger.errors import TransferNotFound
from services.points.permissions import SignedIn
from services.points.seals import proofs, queries
from services.points.seals.demand import OnDemand
from services.points.seals.errors import HeadNotFound, HeadsInOrder, NotSealedYet, SealBroken
from services.points.seals.schemas import ConsistencyOut, HeadOut, ReceiptOut, VerifierKeyOut, VerifierKeysOut
from services.points.terms import LedgerName

router = Router(prefix="/api/points", tags=["seals"])

_PLAIN: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
Accept = Annotated[str, Header(max_length=500, description="`text/plain` for the signed text alone.")]


class OfLedger(In):
    """Which ledger's tree."""

    ledger: LedgerName = LedgerName.CIVIC


class HeadPaging(OfLedger):
    """Which page of a ledger's heads."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class TwoHeads(OfLedger):
    """Two heads, by how many transfers they are over."""

    first: int = Field(alias="from", ge=0, le=2**63 - 1)
    second: int = Field(alias="to", ge=0, le=2**63 - 1)


@router.get("/seals/latest", response_model=HeadOut, responses={**_PLAIN, **problems(HeadNotFound)})
async def latest_seal(
    of: Annotated[OfLedger, Query()], session: SessionDep, accept: Accept = "*/*"
) -> HeadOut | Response:
    """最新存证: the head that was signed last over a ledger. As text/plain, the checkpoint (C2SP) and nothing else."""
    head = await queries.latest_head(session, of.ledger)
    if head is None:
        raise HeadNotFound
    return PlainTextResponse(head.checkpoint) if _wants_text(accept) else HeadOut.of(head)


@router.get("/seals/checkpoints")
async def list_seals(paging: Annotated[HeadPaging, Query()], session: SessionDep, cursors: CursorsDep) -> Page[HeadOut]:
    """Every head that was signed over a ledger, the latest first."""
    filters = {"list": "heads", "ledger": paging.ledger}
    last = cursors.decode(paging.cursor, filters)
    heads = await queries.heads_before(session, paging.ledger, int(last[0]) if last else None, paging.limit + 1)
    page, more = heads[: paging.limit], len(heads) > paging.limit
    return Page(
        items=[HeadOut.of(head) for head in page],
        next_cursor=cursors.encode(filters, [page[-1].size]) if more else None,
    )


@router.get("/seals/key", response_model=VerifierKeysOut, responses={**_PLAIN})
async def seal_key(request: Request, accept: Accept = "*/*") -> VerifierKeysOut | Response:
    """验证公钥: the public keys of the heads, as verifiers of signed notes take them. As text/plain, one a line."""
    key = _on_demand(request).sealing.key
    items = [
        VerifierKeyOut(ledger=ledger, origin=key.origin(ledger), verifier=key.verifier(ledger)) for ledger in LedgerName
    ]
    if _wants_text(accept):
        return PlainTextResponse("".join(f"{item.verifier}\n" for item in items))
    return VerifierKeysOut(items=items)


@router.get("/seals/consistency", responses=problems(HeadNotFound, HeadsInOrder, SealBroken))
async def seal_consistency(of: Annotated[TwoHeads, Query()], session: SessionDep) -> ConsistencyOut:
    """That nothing sealed under one head was changed until a later one: both heads with their consistency proof."""
    return ConsistencyOut.of(await proofs.consistency(session, of.ledger, of.first, of.second))


@router.get("/transfers/{transfer_id}/receipt", responses=problems(TransferNotFound, NotSealedYet, SealBroken))
async def transfer_receipt(transfer_id: UUID, actor: SignedIn, request: Request) -> ReceiptOut:
    """存证回执: a transfer as it was sealed, with its inclusion proof and the signed head.

    One that is not sealed yet is sealed now: all who ask at the same time share one head. For those who may read the
    account on either side, auditors and administrators; for others there is no such transfer.
    """
    return ReceiptOut.of(await proofs.receipt(_on_demand(request), actor, transfer_id))


def _on_demand(request: Request) -> OnDemand:
    on_demand: OnDemand = request.app.state.seals
    return on_demand


def _wants_text(accept: str) -> bool:
    return "text/plain" in accept and "json" not in accept
