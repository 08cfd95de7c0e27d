"""Loading what a batch touches, in sets: as many statements for five thousand commands as for one.

The ledgers' locks are held. Statements go out together where none needs another's answer, so a batch waits for the
database once, or twice where past transfers, holds or lots tell which accounts are touched.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import driver_connection, driver_errors
from chassis.core.ids import new_id
from services.points.ledger.core.commands import AccountRef, CapKey
from services.points.ledger.core.state import (
    AccountState,
    HoldStateRow,
    LedgerState,
    LotState,
    PastTransfer,
    State,
)
from services.points.ledger.needs import ALL, Needs
from services.points.ledger.terms import HoldState, Purpose, TransferCode, expired
from services.points.terms import LedgerName, OwnerKind

_TRANSFERS = """
SELECT t.id, t.ledger, t.debit_account_id, t.credit_account_id, t.amount, t.code, t.rule_code, t.rule_version,
    (SELECT coalesce(sum(r.amount), 0)::bigint FROM transfer r WHERE r.reverses_id = t.id)
FROM transfer t WHERE t.id = ANY(%b)
"""
# What a transfer took from each lot, less what its reversals gave back.
_TAKEN = """
SELECT took.cause_id, took.lot_id,
    -took.amount - (SELECT coalesce(sum(back.amount), 0)::bigint FROM transfer r
        JOIN allocation back ON back.cause_id = r.id AND back.lot_id = took.lot_id
        WHERE r.reverses_id = took.cause_id)
FROM allocation took WHERE took.cause_id = ANY(%b) AND took.amount < 0
"""
_EXPIRIES = """
SELECT a.lot_id, e.id, e.amount - (SELECT coalesce(sum(r.amount), 0)::bigint FROM transfer r WHERE r.reverses_id = e.id)
FROM allocation a JOIN transfer e ON e.id = a.cause_id AND e.code = 'expiry'
WHERE a.lot_id = ANY(%b) ORDER BY e.sequence
"""
_HOLDS = """
SELECT id, ledger, debit_account_id, credit_account_id, amount, code, reference, occurred_at, held_at, lapses_at,
    state, closed_at, posted_amount
FROM hold WHERE id = ANY(%b)
"""
_HOLD_LOTS = """
SELECT h.hold_id, h.lot_id, h.amount FROM hold_lot h JOIN lot l ON l.id = h.lot_id
WHERE h.hold_id = ANY(%b) ORDER BY l.expires_at, l.sequence
"""
# Those that are named, those that named transfers made or took from, and those that named holds keep. A lot with
# nothing left stays with the account that had it when that is merged, and moves on when something comes back.
_NAMED_LOTS = """
SELECT l.id, l.sequence, coalesce(a.merged_into_id, a.id), l.expires_at, l.amount, l.free, l.held
FROM (
    SELECT unnest(%(lots)b::uuid[]) AS id
    UNION SELECT unnest(%(transfers)b::uuid[])
    UNION SELECT lot_id FROM allocation WHERE cause_id = ANY(%(transfers)b)
    UNION SELECT lot_id FROM hold_lot WHERE hold_id = ANY(%(holds)b)
) named JOIN lot l USING (id) JOIN account a ON a.id = l.account_id
"""
_REFERENCES = """
SELECT reference FROM transfer WHERE reference = ANY(%(references)b)
UNION ALL SELECT reference FROM merger WHERE reference = ANY(%(references)b)
"""
_HOLD_REFERENCES = "SELECT reference FROM hold WHERE reference = ANY(%(references)b)"
_CAPS = """
SELECT c.rule_code, c.scope, c.holder_id, c.period, c.used
FROM unnest(%b::text[], %b::text[], %b::uuid[], %b::text[]) AS named (rule_code, scope, holder_id, period)
JOIN cap_use c USING (rule_code, scope, holder_id, period)
"""
_ACCOUNT = "id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt, version, opened_at, merged_into_id"
_ACCOUNTS = f"""
SELECT {_ACCOUNT} FROM account WHERE id = ANY(%(ids)b)
UNION ALL
SELECT {_ACCOUNT} FROM account WHERE id IN (
    SELECT merged_into_id FROM account WHERE id = ANY(%(ids)b) AND merged_into_id IS NOT NULL)
"""  # noqa: S608  # columns of ours
# Of each wallet what is overdue, and of the rest what comes first in the order of spending, until that is enough.
# A lot has one point at least, so no more lots than points are looked at.
_SPENDING = """
SELECT l.id, l.sequence, w.id, l.expires_at, l.amount, l.free, l.held
FROM (
    SELECT coalesce(a.merged_into_id, a.id) AS id, least(sum(asked.most), 4611686018427387904)::bigint AS most
    FROM unnest(%(wallets)b::uuid[], %(most)b::bigint[]) AS asked (id, most) JOIN account a USING (id) GROUP BY 1
) w CROSS JOIN LATERAL (
    SELECT id, sequence, expires_at, amount, free, held FROM lot
    WHERE account_id = w.id AND live AND free > 0 AND expires_at <= %(at)b
    UNION ALL
    SELECT id, sequence, expires_at, amount, free, held FROM (
        SELECT *, sum(free) OVER (ORDER BY expires_at, sequence ROWS UNBOUNDED PRECEDING) - free AS before
        FROM (
            SELECT * FROM lot WHERE account_id = w.id AND live AND free > 0 AND expires_at > %(at)b
            ORDER BY expires_at, sequence LIMIT w.most
        ) first
    ) counted WHERE before < w.most
) l
"""


Rows = list[tuple[Any, ...]]
# Looking a member up is ten times as quick as making an enumeration find it.
_NAMES = {name.value: name for name in LedgerName}
_KINDS = {kind.value: kind for kind in OwnerKind}
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


async def load(session: AsyncSession, at: datetime, ledgers: Mapping[LedgerName, LedgerState], needs: Needs) -> State:
    """The state of all that is needed, as it is under the locks of these ledgers, which the caller holds.

    Of a wallet's lots there are only those that may be touched: the overdue ones, as many in the order of spending as
    `needs` says, and those named.
    """
    state = State(at=at, new_id=new_id, ledgers=dict(ledgers))
    driver = await driver_connection(session)
    with driver_errors(driver):
        async with driver.pipeline():
            questions = _Questions(driver)
            await _ask_for_history(questions, needs, state)
            if questions.under_way and (needs.transfers or needs.holds or needs.lots):
                await questions.answer()
            await _ask_for_accounts(questions, needs, state)
            await questions.answer()
    return state


class _Questions:
    """Statements under way, and what to do with their answers."""

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._driver = driver
        self.under_way: list[tuple[psycopg.AsyncCursor[Any], Callable[[Rows], None]]] = []

    async def ask(self, query: LiteralString, parameters: Any, take: Callable[[Rows], None]) -> None:
        cursor = self._driver.cursor(binary=True)
        await cursor.execute(query, parameters)
        self.under_way.append((cursor, take))

    async def answer(self) -> None:
        for cursor, take in self.under_way:
            take(await cursor.fetchall())
        self.under_way.clear()


async def _ask_for_history(questions: _Questions, needs: Needs, state: State) -> None:
    """What was posted before, what is held, which names were used, and what is gone of caps."""
    transfers, holds = list(needs.transfers), list(needs.holds)
    if transfers:
        await questions.ask(_TRANSFERS, [transfers], partial(_take_transfers, state))
        await questions.ask(_TAKEN, [transfers], partial(_take_taken, state))
        await questions.ask(_EXPIRIES, [transfers], partial(_take_expiries, state))
    if holds:
        await questions.ask(_HOLDS, [holds], partial(_take_holds, state))
        await questions.ask(_HOLD_LOTS, [holds], partial(_take_hold_lots, state))
    if transfers or holds or needs.lots:
        named = {"lots": list(needs.lots), "transfers": transfers, "holds": holds}
        await questions.ask(_NAMED_LOTS, named, partial(_take_lots, state))
    if needs.references:
        asked = {"references": list(needs.references)}
        await questions.ask(_REFERENCES, asked, lambda rows: state.references.update(row[0] for row in rows))
    if needs.hold_references:
        asked = {"references": list(needs.hold_references)}
        await questions.ask(_HOLD_REFERENCES, asked, lambda rows: state.hold_references.update(row[0] for row in rows))
    if needs.caps:
        caps = [[getattr(cap, name) for cap in needs.caps] for name in ("rule_code", "scope", "holder_id", "period")]
        await questions.ask(_CAPS, caps, partial(_take_caps, state))


async def _ask_for_accounts(questions: _Questions, needs: Needs, state: State) -> None:
    """The accounts that are named, by commands or by what was just loaded, and what wallets have to spend."""
    ids = {_id(ref) for ref in needs.accounts} | {expired(name).id for name in state.ledgers}
    ids |= {lot.account_id for lot in state.lots.values()}
    spending = dict(needs.spending)
    for hold in state.holds.values():
        ids |= {hold.debit_account_id, hold.credit_account_id}
    for past in state.transfers.values():
        ids |= {past.debit_account_id, past.credit_account_id}
        most = spending.get(past.credit_account_id, 0) + past.amount - past.reversed
        spending[past.credit_account_id] = min(most, ALL)
    await questions.ask(_ACCOUNTS, {"ids": list(ids)}, partial(_take_accounts, state))
    if spending:
        overdue_at = max([state.at, *(ledger.last_posted_at for ledger in state.ledgers.values())])
        wallets = {"wallets": list(spending), "most": list(spending.values()), "at": overdue_at}
        await questions.ask(_SPENDING, wallets, partial(_take_lots, state))


def _id(ref: AccountRef) -> UUID:
    return ref if isinstance(ref, UUID) else ref.id


def _take_transfers(state: State, rows: Rows) -> None:
    for id_, ledger, debit, credit, amount, code, rule, version, reversed_ in rows:
        state.transfers[id_] = PastTransfer(
            id=id_,
            ledger=LedgerName(ledger),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            code=TransferCode(code),
            rule=None if rule is None else (rule, version),
            reversed=reversed_,
            taken={},
            expiries={},
        )


def _take_taken(state: State, rows: Rows) -> None:
    for transfer_id, lot_id, amount in rows:
        if amount > 0:
            state.transfers[transfer_id].taken[lot_id] = amount


def _take_expiries(state: State, rows: Rows) -> None:
    for transfer_id, expiry_id, amount in rows:
        if amount > 0:
            state.transfers[transfer_id].expiries[expiry_id] = amount


def _take_holds(state: State, rows: Rows) -> None:
    for id_, ledger, debit, credit, amount, code, *words, hold_state, closed_at, posted_amount in rows:
        reference, occurred_at, held_at, lapses_at = words
        state.holds[id_] = HoldStateRow(
            id=id_,
            ledger=LedgerName(ledger),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            code=TransferCode(code),
            reference=reference,
            occurred_at=occurred_at,
            held_at=held_at,
            lapses_at=lapses_at,
            state=HoldState(hold_state),
            closed_at=closed_at,
            posted_amount=posted_amount,
            lots=(),
        )


def _take_hold_lots(state: State, rows: Rows) -> None:
    for hold_id, lot_id, amount in rows:
        state.holds[hold_id].lots += ((lot_id, amount),)


def _take_lots(state: State, rows: Rows) -> None:
    for row in rows:
        state.lots[row[0]] = LotState(*row)


def _take_caps(state: State, rows: Rows) -> None:
    for code, scope, holder_id, period, used in rows:
        state.caps[CapKey(code, scope, holder_id, period)] = used


def _take_accounts(state: State, rows: Rows) -> None:
    for id_, ledger, owner_kind, owner_id, purpose, *rest in rows:
        state.accounts[id_] = AccountState(id_, _NAMES[ledger], _KINDS[owner_kind], owner_id, _PURPOSES[purpose], *rest)
