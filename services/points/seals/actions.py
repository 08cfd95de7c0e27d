"""Sealing: the tree follows its ledger, and signed heads of it are published.

It is off the hot path: nobody who posts waits for it. A ledger numbers its transfers in the order of their commits, so
whatever is found after the last leaf is what comes next.
"""

import asyncio
import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.db import Database, driver_connection
from services.points.ledger.rows import copy_rows
from services.points.seals import published, queries, rules, tree
from services.points.seals.errors import SealBroken
from services.points.seals.keys import SealKey
from services.points.seals.published import Published
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName

_PART = 2000
_PUBLISHED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Sealing:
    """What it takes to seal: `folder` is where heads are published, `seconds` how often one may be asked for."""

    db: Database
    key: SealKey
    folder: Path
    seconds: int


async def seal(sealing: Sealing, ledger: LedgerName, *, at_most: int) -> SealHead:
    """Seal what was posted since the last time, about `at_most` transfers, and sign and publish a head over it.

    The latest head stands where there is nothing new. Raises SealBroken where a transfer is missing, or where the tree
    is not the one that was signed and published before.
    """
    await _grow(sealing.db, ledger, at_most)
    return await _sign(sealing, ledger)


async def catch_up(sealing: Sealing, ledger: LedgerName, *, at_once: int) -> None:
    """The same for all that there is, with a head over each `at_once` transfers or so.

    What is posted while the last head is signed waits for the next time: under steady posting there is always some.
    """
    grown = at_once
    while grown >= at_once:
        grown = await _grow(sealing.db, ledger, at_once)
        await _sign(sealing, ledger)


async def _grow(db: Database, ledger: LedgerName, at_most: int) -> int:
    """Let the tree grow by what was posted since, about `at_most` transfers; how many they were."""
    grown = 0
    while grown < at_most:
        async with db.transaction() as session:
            count = await _seal_part(session, ledger)
        grown += count
        if count < _PART:
            break
    return grown


async def _seal_part(session: AsyncSession, ledger: LedgerName) -> int:
    sealed_tree = await queries.lock_tree(session, ledger)
    leaves = await queries.leaves_after(session, ledger, sealed_tree.size, _PART)
    if not leaves:
        return 0
    edge = tree.edge(sealed_tree.size)
    nodes = await queries.nodes(session, ledger, edge)
    growing = tree.Growing(sealed_tree.size, [nodes[node] for node in edge])
    try:
        sealed = await asyncio.to_thread(rules.grow, growing, leaves)  # others are answered meanwhile
    except ValueError as gap:
        raise SealBroken(f"Transfer {gap} of the {ledger} ledger is missing.") from None
    rows = [(ledger, row.sequence, row.hashes) for row in sealed]
    await copy_rows(await driver_connection(session), "seal", "ledger sequence hashes", "varchar int8 bytea", rows)
    sealed_tree.size = growing.size
    return len(sealed)


async def _sign(sealing: Sealing, ledger: LedgerName) -> SealHead:
    outside = await asyncio.to_thread(published.last, sealing.folder, ledger)
    async with sealing.db.transaction() as session:
        size = (await queries.lock_tree(session, ledger)).size
        head = await queries.latest_head(session, ledger)
        signed = {head.size: head.root} if head else {}
        root = await _root(session, ledger, size, signed, outside)
        if head is None or head.size < size:
            checkpoint = sealing.key.checkpoint(ledger, size, root)
            head = SealHead(ledger=ledger, size=size, root=root, checkpoint=checkpoint, signed_at=clock.now())
            session.add(head)
    if outside is None or outside.size < head.size:
        await _publish(sealing, ledger, outside.size if outside else -1)
    return head


async def _root(
    session: AsyncSession, ledger: LedgerName, size: int, signed: dict[int, bytes], outside: Published | None
) -> bytes:
    """The tree's root, once it is shown that it grew out of the heads that were signed and published last.

    A head that contradicts an earlier one must never be signed: it would be a lie under our own signature.
    """
    for known in [*signed, *([outside.size] if outside else [])]:
        if known > size:
            raise SealBroken(f"A head over {known} transfers was signed; the {ledger} ledger's tree has {size}.")
    sizes = {size, *signed, *([outside.size] if outside else [])}
    wanted = {node for each in sizes for node in tree.edge(each)}
    nodes = await queries.nodes(session, ledger, wanted)
    roots = {each: tree.root(each, nodes) for each in sizes}
    for each, root in signed.items():
        if roots[each] != root:
            raise SealBroken(f"The first {each} transfers of the {ledger} ledger are not those of the signed head.")
    if outside and base64.b64encode(roots[outside.size]).decode() != outside.root:
        raise SealBroken(
            f"The first {outside.size} transfers of the {ledger} ledger are not those that were published."
        )
    return roots[size]


async def _publish(sealing: Sealing, ledger: LedgerName, after: int) -> None:
    """Append to the file what it lacks: after a crash, or in a new folder, that may be more than the last head."""
    while True:
        async with sealing.db.transaction() as session:
            heads = await queries.heads_after(session, ledger, after, _PUBLISHED_AT_ONCE)
        if not heads:
            return
        lines: list[tuple[datetime, str]] = [(head.signed_at, head.checkpoint) for head in heads]
        await asyncio.to_thread(published.publish, sealing.folder, ledger, lines)
        after = heads[-1].size
