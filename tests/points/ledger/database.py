"""The examples' third world: the real database, through the same door as everything that posts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.boards import actions as boards
from services.points.boards import queries as board_queries
from services.points.boards.rules import starts_on
from services.points.boards.terms import BoardKind, BoardPeriod, Which
from services.points.ledger.actions import carry_out
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import CapKey
from services.points.ledger.core.state import (
    AccountState,
    HoldStateRow,
    LedgerState,
    LotState,
    NewMerger,
    NewTransfer,
    Result,
)
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import HoldState, Purpose, TransferCode
from services.points.terms import LedgerName, OwnerKind
from tests.points.ledger.examples import BEGINNING, Picture, Standing, Step
from tests.points.ledger.worlds import Facts, Names, Tables, check_tables, command, granted, id_of, picture

KINDS = {"person": "person", "staff": "person", "unit": "unit", "household": "household", "community": "community"}


class Telling:
    """Groups of steps as a deed: each step becomes a command when it is its turn."""

    def __init__(self, names: Names, facts: Facts, now: datetime) -> None:
        self.names, self.facts, self.now = names, facts, now
        self.ledgers: Collection[LedgerName] = tuple(LedgerName)
        self.credited: list[tuple[Step, Result]] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Sequence[Step]], /) -> Needs:
        steps = [step for group in requests for step in group]
        known = [step for step in steps if step.verb != "withdraw" or step.args["of"] in self.facts.granted]
        return needs_of([command(step, self.names, self.facts, self.now) for step in known])

    def decide(self, book: Book, request: Sequence[Step], /) -> list[int]:
        facts = Facts(dict(self.facts.granted), set(self.facts.withdrawn))
        names = dict(self.names.holds), dict(self.names.transfers)
        credited = len(self.credited)
        try:
            return [self._step(book, step) for step in request]
        except DomainError:
            self.facts.granted, self.facts.withdrawn = facts.granted, facts.withdrawn
            self.names.holds, self.names.transfers = names
            del self.credited[credited:]
            raise

    def _step(self, book: Book, step: Step) -> int:
        if self.facts.settle(step):
            return 0
        result = book.apply(command(step, self.names, self.facts, self.now))
        self.names.learn(book.changes)
        self.facts.note(step, result)
        self.credited.append((step, result))
        return granted(step, result)

    async def write(self, session: AsyncSession, /) -> None:
        """To whom each award is credited, as the part that makes the awards would note it."""
        for step, result in self.credited:
            if step.verb == "award" and result.transfer:
                await credit(session, self.names, step, result.transfer)


class DatabaseWorld:
    """What is done in one session; whoever opened it rolls it back."""

    def __init__(self, session: AsyncSession, kinds: Mapping[str, str]) -> None:
        self.session = session
        self.names, self.facts = Names(kinds), Facts()
        self.now = BEGINNING

    def at(self, moment: datetime) -> None:
        self.now = moment.astimezone(UTC)

    async def do(self, steps: Sequence[Step]) -> list[int] | str:
        [outcome] = await self.batch([steps])
        return outcome

    async def batch(self, groups: Sequence[Sequence[Step]]) -> list[list[int] | str]:
        """Groups of steps, one after another in one batch; each group succeeds or fails as a whole."""
        with clock.frozen(self.now):
            answers = await carry_out(self.session, Telling(self.names, self.facts, self.now), groups)
        return [answer.code if isinstance(answer, DomainError) else answer for answer in answers]

    async def tables(self) -> Tables:
        """All rows."""
        return await read(self.session)

    async def picture(self) -> Picture:
        tables = await self.tables()
        check_tables(tables)
        self.names.learn(tables)
        return picture(tables, self.names)

    async def standing(self, wanted: Standing) -> int:
        """What somebody has on a board."""
        ledger, period = LedgerName(wanted.ledger), BoardPeriod(wanted.period)
        while await boards.follow_once(self.session, ledger):
            pass
        noon = datetime.combine(wanted.day, time(12), BEIJING)
        which = Which(ledger, period, starts_on(period, noon))
        kind = BoardKind(KINDS[self.names.kinds[wanted.subject]])
        _, [found] = await board_queries.standings(self.session, which, {kind: id_of(wanted.subject)})
        return found.score


async def credit(session: AsyncSession, names: Names, step: Step, transfer: NewTransfer) -> None:
    """An award's own row, and that of its fact."""
    whom: dict[str, UUID | None] = {f"{kind}_id": None for kind in ("person", "unit", "household", "community")}
    whom |= {f"{KINDS[names.kinds[name]]}_id": id_of(name) for name in step.args["subjects"]}
    fact = await session.scalar(
        text(
            "INSERT INTO fact (type, fact_id, subject_kind, subject_id, occurred_at, accepted_at, data)"
            " VALUES ('example', :id, 'order', :id, :at, :at, '{}') RETURNING position"
        ),
        {"id": new_id(), "at": transfer.occurred_at},
    )
    await session.execute(
        text(
            "INSERT INTO award (id, fact_position, granted_position, subject_kind, subject_id, rule_code, rule_version,"
            " account_id, person_id, unit_id, household_id, community_id, points_due, points, transfer_id, occurred_at)"
            " VALUES (:id, :fact, :fact, 'order', :id, 'order.base', 1, :account,"
            " :person_id, :unit_id, :household_id, :community_id, :points, :points, :transfer, :at)"
        ),
        whom
        | {
            "id": new_id(),
            "fact": fact,
            "account": transfer.credit_account_id,
            "points": transfer.amount,
            "transfer": transfer.id,
            "at": transfer.occurred_at,
        },
    )


async def read(session: AsyncSession) -> Tables:
    """All of the ledger's rows."""

    async def rows(query: str) -> list[Any]:
        return list(await session.execute(text(query)))

    tables = Tables()
    for row in await rows("SELECT name, last_sequence, last_posted_at FROM ledger"):
        tables.ledgers[LedgerName(row[0])] = LedgerState(LedgerName(row[0]), *row[1:])
    for id_, ledger, kind, owner_id, purpose, *rest in await rows(
        "SELECT id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt, version, opened_at,"
        " merged_into_id FROM account"
    ):
        tables.accounts[id_] = AccountState(id_, LedgerName(ledger), OwnerKind(kind), owner_id, Purpose(purpose), *rest)
    for row in await rows("SELECT id, sequence, account_id, expires_at, amount, free, held FROM lot"):
        tables.lots[row[0]] = LotState(*row)
    for row in await rows(
        "SELECT id, ledger, debit_account_id, credit_account_id, amount, code, reference, occurred_at, held_at,"
        " lapses_at, state, closed_at, posted_amount FROM hold ORDER BY held_at, id"
    ):
        tables.holds[row.id] = HoldStateRow(
            **dict(row._mapping)
            | {
                "ledger": LedgerName(row.ledger),
                "code": TransferCode(row.code),
                "state": HoldState(row.state),
                "lots": (),
            }
        )
    for row in await rows(
        "SELECT id, ledger, sequence, debit_account_id, debit_version, debit_balance, credit_account_id,"
        " credit_version, credit_balance, amount, code, reference, occurred_at, posted_at, reverses_id, hold_id,"
        " text_hash, rule_code, rule_version FROM transfer ORDER BY ledger, sequence"
    ):
        values = dict(row._mapping)
        rule = values.pop("rule_code"), values.pop("rule_version")
        values |= {
            "ledger": LedgerName(row.ledger),
            "code": TransferCode(row.code),
            "rule": rule if rule[0] is not None else None,
        }
        tables.transfers[row.id] = NewTransfer(**values)
    for cause, lot, amount in await rows("SELECT cause_id, lot_id, amount FROM allocation"):
        tables.allocations[cause, lot] = amount
    for row in await rows(
        "SELECT id, ledger, sequence, old_account_id, new_account_id, transfer_id, reference, occurred_at, merged_at"
        " FROM merger"
    ):
        tables.mergers[row[0]] = NewMerger(row[0], LedgerName(row[1]), *row[2:])
    for code, scope, holder_id, period, used in await rows(
        "SELECT rule_code, scope, holder_id, period, used FROM cap_use"
    ):
        tables.caps[CapKey(code, scope, holder_id, period)] = used
    return tables
