"""What can be shown of sealed ledgers: that a transfer is in the tree of a signed head, and that a tree only grew."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from services.points.seals import queries, rules, tree
from services.points.seals.demand import OnDemand
from services.points.seals.errors import HeadsInOrder, NotSealedYet, SealBroken
from services.points.seals.rules import Leaf
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transfer, and what shows that it is in the tree of a signed head: hashes, the lowest first."""

    leaf: Leaf
    proof: list[bytes]
    head: SealHead


@dataclass(frozen=True, slots=True)
class Consistency:
    """Two heads, and what shows that the second tree begins with the first."""

    first: SealHead
    second: SealHead
    proof: list[bytes]


async def receipt(on_demand: OnDemand, actor: Actor, transfer_id: UUID) -> Receipt:
    """What a transfer's owner keeps as proof of it; one that is not sealed yet is so first.

    Raises TransferNotFound (also where it is not theirs to see), NotSealedYet where no head can be made now or much is
    waiting, SealBroken where the transfer is not what was sealed.
    """
    sealing = on_demand.sealing
    async with sealing.db.transaction() as session:
        leaf = await queries.readable_leaf(session, actor, transfer_id)
        ledger, sequence = LedgerName(leaf["ledger"]), int(leaf["sequence"])
        head = await queries.latest_head(session, ledger)
    if head is None or head.size < sequence:
        head = await on_demand.head(ledger)  # while no session is open: it has its own
        if head.size < sequence:
            raise NotSealedYet(sealing.seconds)
    path = tree.inclusion(sequence - 1, head.size)
    own = tree.Node(0, sequence - 1)
    async with sealing.db.transaction() as session:
        nodes = await queries.nodes(session, ledger, tree.needed(path) | {own})
    if nodes[own] != rules.leaf_hash(leaf):
        raise SealBroken(f"Transfer {sequence} of the {ledger} ledger is not what was sealed.")
    return Receipt(leaf, tree.hashes(path, nodes), head)


async def consistency(session: AsyncSession, ledger: LedgerName, first: int, second: int) -> Consistency:
    """That the tree of the first head is the beginning of the second's. Raises HeadNotFound, HeadsInOrder."""
    if first > second:
        raise HeadsInOrder
    heads = await queries.head_over(session, ledger, first), await queries.head_over(session, ledger, second)
    path = tree.consistency(first, second)
    nodes = await queries.nodes(session, ledger, tree.needed(path))
    return Consistency(*heads, tree.hashes(path, nodes))
