"""What is read of the trees, and of transfers as their leaves."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, LargeBinary, String, Text, Uuid, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.db import Database
from services.points.households.queries import household_of
from services.points.ledger.errors import TransferNotFound
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Transfer
from services.points.seals.errors import HeadNotFound, SealBroken
from services.points.seals.rules import LEAF_COLUMNS, Leaf, leaf_of
from services.points.seals.tables import Seal, SealHead, SealTree
from services.points.seals.tree import HASH_BYTES, Node
from services.points.statements.rules import may_read
from services.points.terms import LedgerName

_EXPORTED_AT_ONCE = 2000


def _written(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as leaves have it: the database writes it, so that nothing is rounded or forgotten on the way."""
    match column.type:
        case Uuid() | String():  # enumerations too
            return cast(column, Text)
        case DateTime():
            return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=Text)
        case LargeBinary():
            return func.encode(column, "hex", type_=Text)
        case _:
            return column


_LEAF = [_written(Transfer.__table__.c[name]) for name in LEAF_COLUMNS]


async def lock_tree(session: AsyncSession, ledger: LedgerName) -> SealTree:
    """The tree of a ledger, locked until the transaction ends: only its holder lets it grow or signs a head of it."""
    tree = await session.get(SealTree, ledger, with_for_update=True, populate_existing=True)
    assert tree is not None, "the migration makes one for every ledger"
    return tree


async def leaves_after(session: AsyncSession, ledger: LedgerName, size: int, limit: int) -> list[Leaf]:
    """The transfers that follow the first `size` ones, in the order of their numbers."""
    rows = await session.execute(
        select(*_LEAF)
        .where(Transfer.ledger == ledger, Transfer.sequence > size)
        .order_by(Transfer.sequence)
        .limit(limit)
    )
    return [leaf_of(row) for row in rows.all()]


async def readable_leaf(session: AsyncSession, actor: Actor, transfer_id: UUID) -> Leaf:
    """A transfer of an account that the actor may read, on either side. Raises TransferNotFound."""
    row = (await session.execute(select(*_LEAF).where(Transfer.id == transfer_id))).one_or_none()
    if row is None:
        raise TransferNotFound
    leaf = leaf_of(row)
    sides = [UUID(leaf["debit_account_id"]), UUID(leaf["credit_account_id"])]
    actor = replace(actor, household_id=await household_of(session, actor))
    if not any(may_read(actor, account) for account in (await accounts_by_id(session, sides)).values()):
        raise TransferNotFound
    return leaf


async def nodes(session: AsyncSession, ledger: LedgerName, wanted: Collection[Node]) -> Mapping[Node, bytes]:
    """Stored hashes. Raises SealBroken where one is missing."""
    if not wanted:
        return {}
    rows = await session.execute(
        select(Seal.sequence, Seal.hashes).where(
            Seal.ledger == ledger, Seal.sequence.in_({node.completed_by for node in wanted})
        )
    )
    stored = {row.sequence: row.hashes for row in rows}
    found = {
        node: stored.get(node.completed_by, b"")[HASH_BYTES * node.level : HASH_BYTES * (node.level + 1)]
        for node in wanted
    }
    if missing := [node.completed_by for node, value in found.items() if len(value) != HASH_BYTES]:
        raise SealBroken(f"The hashes of transfer {min(missing)} of the {ledger} ledger are missing.")
    return found


async def latest_head(session: AsyncSession, ledger: LedgerName) -> SealHead | None:
    """The head that was signed last, if one was."""
    return await session.scalar(
        select(SealHead).where(SealHead.ledger == ledger).order_by(SealHead.size.desc()).limit(1)
    )


async def head_over(session: AsyncSession, ledger: LedgerName, size: int) -> SealHead:
    """The head over the first `size` transfers. Raises HeadNotFound."""
    head = await session.get(SealHead, (ledger, size))
    if head is None:
        raise HeadNotFound
    return head


async def heads_before(session: AsyncSession, ledger: LedgerName, size: int | None, limit: int) -> Sequence[SealHead]:
    """Signed heads, the latest first: all, or those over fewer than `size` transfers."""
    query = select(SealHead).where(SealHead.ledger == ledger).order_by(SealHead.size.desc()).limit(limit)
    if size is not None:
        query = query.where(SealHead.size < size)
    return (await session.scalars(query)).all()


async def heads_after(session: AsyncSession, ledger: LedgerName, size: int, limit: int) -> Sequence[SealHead]:
    """Signed heads over more than `size` transfers, in the order in which they were signed."""
    query = select(SealHead).where(SealHead.ledger == ledger, SealHead.size > size)
    return (await session.scalars(query.order_by(SealHead.size).limit(limit))).all()


async def sealed(
    db: Database, ledger: LedgerName, size: int
) -> AsyncIterator[Sequence[tuple[int, bytes, Leaf | None]]]:
    """The first `size` transfers with their stored hashes, a part at a time, each part in a transaction of its own.

    Where a transfer is not there any more, its place is None.
    """
    joined = and_(Transfer.ledger == Seal.ledger, Transfer.sequence == Seal.sequence)
    query = select(Seal.sequence, Seal.hashes, *_LEAF).outerjoin(Transfer, joined).where(Seal.ledger == ledger)
    last = 0
    while last < size:
        async with db.transaction() as session:
            part = query.where(Seal.sequence > last, Seal.sequence <= size).order_by(Seal.sequence)
            rows = (await session.execute(part.limit(_EXPORTED_AT_ONCE))).all()
        if not rows:
            return
        yield [(row[0], row[1], leaf_of(row[2:]) if row.id is not None else None) for row in rows]
        last = rows[-1][0]
