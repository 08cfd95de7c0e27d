"""What arrives together is carried out together: all that was acknowledged is there, once, whoever was beside it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import OutcomeUnknown
from chassis.core.errors import IdempotencyKeyReused, Unavailable
from chassis.core.idempotency import Reply
from chassis.core.telemetry import request_id
from services.points.ledger.actions import Posting
from services.points.ledger.core.commands import Command, Linked
from services.points.ledger.core.state import Result
from services.points.ledger.errors import InsufficientPoints, NotCarriedOut, ReferenceUsed
from services.points.ledger.terms import AccountKey
from services.points.terms import LedgerName, OwnerKind
from tests.points.ledger.office import Office, all_of, give, key, move, office_on, rendered, wallets
from tests.town import TestDatabase, copy_of


@pytest.fixture(scope="module")
def books(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for all these tests: each has accounts of its own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture
async def office(books: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Office]:
    """A writer of the test's own on the shared database."""
    async with office_on(books.url("points"), keys_dir, tmp_path) as office:
        yield office


class Poisoned(Posting):
    """A deed that the database objects to where one of its commands is named so."""

    async def prepare(self, session: AsyncSession, at: Any, requests: Sequence[Command | Linked], /) -> Any:
        self.requests = requests
        return await super().prepare(session, at, requests)

    async def write(self, session: AsyncSession, /) -> None:
        for request in self.requests:
            if "poison" in getattr(request, "reference", ""):
                await session.execute(text("SELECT 1 / 0"))


async def test_those_who_come_together_are_committed_together(office: Office) -> None:
    before = await office.transactions()
    people = wallets(50)
    await asyncio.gather(*(office.writer.submit(Posting, give(wallet, 7)) for wallet in people))
    assert await office.balances(people) == [7] * 50
    assert await office.transactions() - before <= 3
    await office.check()


async def test_a_batch_has_its_measure_and_nobody_is_left_behind(office: Office) -> None:
    before = await office.transactions()
    small = office.beside(most_a_batch=10)
    people = wallets(45)
    await asyncio.gather(*(small.writer.submit(Posting, give(wallet, 7)) for wallet in people))
    assert await office.balances(people) == [7] * 45
    assert await office.transactions() - before >= 5


async def test_balances_are_the_sum_of_what_was_acknowledged_in_a_mixed_burst(office: Office) -> None:
    people, chance = wallets(4), random.Random(20261123)
    await office.credit(people, 100)
    other = office.beside(most_a_batch=17)
    moves = []
    for _ in range(300):
        debit, credit = chance.sample(people, 2)
        moves.append(move(debit, credit, chance.randint(1, 60)))
    answers = await all_of(
        *(chance.choice([office, other]).writer.submit(Posting, command) for command in moves),
    )
    expected = dict.fromkeys(people, 100)
    for command, answer in zip(moves, answers, strict=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, InsufficientPoints)
            continue
        assert isinstance(command.debit, AccountKey)
        assert isinstance(command.credit, AccountKey)
        expected[command.debit] -= command.amount
        expected[command.credit] += command.amount
    assert await office.balances(people) == [expected[wallet] for wallet in people]
    assert min(expected.values()) >= 0
    accepted = [
        command.reference
        for command, answer in zip(moves, answers, strict=True)
        if not isinstance(answer, BaseException)
    ]
    asked = {command.reference for command in moves}
    assert Counter(name for name in await office.references() if name in asked) == Counter(accepted)
    await office.check()


async def test_both_ledgers_are_written_by_two_writers_at_once(office: Office) -> None:
    other = office.beside()
    civic = wallets(20)
    staff = [AccountKey(LedgerName.STAFF, OwnerKind.PERSON, wallet.owner_id) for wallet in civic]
    commands = [give(wallet, 3) for pair in zip(civic, staff, strict=True) for wallet in pair]
    await asyncio.gather(
        *(office.writer.submit(Posting, command) for command in commands[::2]),
        *(other.writer.submit(Posting, command) for command in commands[1::2]),
    )
    assert await office.balances(civic + staff) == [3] * 40
    await office.check()


# One's fault is not the others' --------------------------------------------------------------------------------------


async def test_a_refused_one_does_not_touch_its_neighbours(office: Office) -> None:
    rich, poor, goal = wallets(3)
    await office.credit([rich], 100)
    answers = await all_of(*(office.writer.submit(Posting, move(wallet, goal, 10)) for wallet in [rich, poor, rich]))
    assert [type(answer) for answer in answers] == [tuple, InsufficientPoints, tuple]
    assert await office.balances([rich, poor, goal]) == [80, 0, 20]


async def test_one_that_the_database_objects_to_fails_alone(office: Office) -> None:
    people = wallets(20)
    names = [f"fine/{wallet.id}" for wallet in people]
    names[13] = f"poison/{people[13].id}"
    answers = await all_of(
        *(
            office.writer.submit(Poisoned if number % 2 else Posting, give(wallet, 5, name))
            for number, (wallet, name) in enumerate(zip(people, names, strict=True))
        )
    )
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert failed == [13]
    assert isinstance(answers[13], DataError)
    assert await office.balances(people) == [0 if number == 13 else 5 for number in range(20)]
    await office.check()


async def test_of_a_list_only_the_one_that_the_database_objects_to_is_not_carried_out(office: Office) -> None:
    people = wallets(9)
    commands = [give(wallet, 5, f"{'poison' if n == 4 else 'fine'}/{wallet.id}") for n, wallet in enumerate(people)]
    answers = await office.writer.submit_all(Poisoned, commands)
    assert [type(answer) for answer in answers] == [tuple] * 4 + [NotCarriedOut] + [tuple] * 4
    assert await office.balances(people) == [5] * 4 + [0] + [5] * 4
    await office.check()


async def test_linked_ones_are_refused_together_and_their_neighbours_stand(office: Office) -> None:
    rich, goal = wallets(2)
    await office.credit([rich], 10)
    linked = Linked((move(rich, goal, 6), move(rich, goal, 6)))
    answers = await all_of(
        office.writer.submit(Posting, linked),
        office.writer.submit(Posting, move(rich, goal, 9)),
    )
    assert isinstance(answers[0], InsufficientPoints)
    assert await office.balances([rich, goal]) == [1, 9]


async def test_of_two_with_one_reference_at_two_writers_one_is_carried_out(office: Office) -> None:
    other, [wallet] = office.beside(), wallets(1)
    command = give(wallet, 5)
    answers = await all_of(*(each.writer.submit(Posting, command) for each in (office, other)))
    assert sorted(type(answer).__name__ for answer in answers) == ["ReferenceUsed", "tuple"]
    assert await office.balances([wallet]) == [5]
    with pytest.raises(ReferenceUsed):
        await office.writer.submit(Posting, command)


async def test_a_deadlock_is_tried_again_and_nobody_hears_of_it(office: Office) -> None:
    tries: list[int] = []

    class Unlucky(Posting):
        async def write(self, session: AsyncSession, /) -> None:
            tries.append(1)
            if len(tries) < 3:
                raise OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected())

    people = wallets(3)
    await asyncio.gather(*(office.writer.submit(Unlucky, give(wallet, 2)) for wallet in people))
    assert len(tries) == 3
    assert await office.balances(people) == [2] * 3


async def test_deadlocks_without_end_are_busy_and_change_nothing(office: Office) -> None:
    class Hopeless(Posting):
        async def write(self, session: AsyncSession, /) -> None:
            raise OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected())

    people = wallets(2)
    answers = await all_of(*(office.writer.submit(Hopeless, give(wallet, 2)) for wallet in people))
    assert [type(answer) for answer in answers] == [Unavailable] * 2
    assert await office.balances(people) == [0, 0]


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writers", [1, 2])
async def test_ten_at_once_under_one_key_move_points_once_and_hear_the_same(office: Office, writers: int) -> None:
    offices, [wallet] = [office, office.beside()][:writers], wallets(1)
    command, name = give(wallet, 5), key(f"ten/{wallet.id}")
    replies = await asyncio.gather(*(offices[n % writers].ask(command, name) for n in range(10)))
    assert {reply for reply, _ in replies} == {Reply(201, "application/json", command.reference.encode())}
    assert sum(not repeated for _, repeated in replies) == 1
    assert await office.balances([wallet]) == [5]


@pytest.mark.parametrize("writers", [1, 2])
async def test_a_key_that_comes_with_another_body_is_never_answered_as_done(office: Office, writers: int) -> None:
    offices, [one, other] = [office, office.beside()][:writers], wallets(2)
    bodies = [(give(one, 5), key(f"two/{one.id}", b"one")), (give(other, 5), key(f"two/{one.id}", b"other"))]
    answers = await all_of(*(offices[n % writers].ask(*bodies[n % 2]) for n in range(6)))
    balances = await office.balances([one, other])
    assert sorted(balances) == [0, 5]
    right = balances.index(5)
    for n, answer in enumerate(answers):
        if n % 2 == right:
            assert not isinstance(answer, BaseException)
        else:
            assert isinstance(answer, IdempotencyKeyReused)
    with pytest.raises(IdempotencyKeyReused):
        await office.ask(*bodies[1 - right])


async def test_a_refusal_is_remembered_under_its_key_even_when_there_is_enough_by_then(office: Office) -> None:
    poor, goal = wallets(2)
    command, name = move(poor, goal, 10), key(f"poor/{poor.id}")
    with pytest.raises(InsufficientPoints) as refusal:
        await office.ask(command, name)
    await office.credit([poor], 100)
    assert await office.ask(command, name) == (rendered(refusal.value), True)
    assert await office.balances([poor]) == [100]


async def test_a_refusal_that_may_pass_is_not_remembered(office: Office) -> None:
    refused: list[int] = []

    class Shy(Posting):
        def decide(self, book: Any, request: Any, /) -> tuple[Result, ...]:
            if not refused:
                refused.append(1)
                raise Unavailable
            return super().decide(book, request)

    [wallet] = wallets(1)
    command, name = give(wallet, 5), key(f"shy/{wallet.id}")
    with pytest.raises(Unavailable):
        await office.writer.reply(Shy, command, rendered, key=name)
    reply, repeated = await office.writer.reply(Shy, command, rendered, key=name)
    assert (reply.status, repeated) == (201, False)
    assert await office.balances([wallet]) == [5]


async def test_what_is_answered_bears_the_id_of_the_request_that_it_answers(office: Office) -> None:
    def with_id(answer: Any) -> Reply:
        return Reply(200, "text/plain", (request_id.get() or "none").encode())

    async def ask(name: str, wallet: AccountKey) -> bytes:
        request_id.set(name)
        reply, _ = await office.writer.reply(Posting, give(wallet, 1), with_id, key=None)
        return reply.body

    names = [f"request-{n}" for n in range(5)]
    bodies = await asyncio.gather(*(ask(name, wallet) for name, wallet in zip(names, wallets(5), strict=True)))
    assert bodies == [name.encode() for name in names]


# Bounds --------------------------------------------------------------------------------------------------------------


async def test_who_finds_the_queue_full_is_told_to_come_again_and_the_others_are_served(office: Office) -> None:
    small, people = office.beside(most_waiting=3, most_a_batch=1), wallets(9)
    async with office.db.transaction() as holder:
        await holder.execute(text("SELECT * FROM ledger FOR UPDATE"))
        asking = [asyncio.create_task(small.writer.submit(Posting, give(wallet, 2))) for wallet in people]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        refusals = [task.exception() for task in done]
    assert {type(refusal) for refusal in refusals} == {Unavailable}
    assert isinstance(refusals[0], Unavailable)
    assert refusals[0].headers["Retry-After"]
    answers = await all_of(*asking)
    served = [not isinstance(answer, BaseException) for answer in answers]
    assert 3 <= sum(served) <= 4
    assert await office.balances(people) == [2 if each else 0 for each in served]


async def test_who_waits_too_long_in_the_queue_is_told_that_nothing_was_changed_and_nothing_is(office: Office) -> None:
    impatient, people = office.beside(wait_seconds=0.5, most_a_batch=1), wallets(3)
    async with office.db.transaction() as holder:
        await holder.execute(text("SELECT * FROM ledger FOR UPDATE"))
        first = asyncio.create_task(impatient.writer.submit(Posting, give(people[0], 2)))
        await asyncio.sleep(0)
        answers = await all_of(*(impatient.writer.submit(Posting, give(wallet, 2)) for wallet in people[1:]))
        assert [type(answer) for answer in answers] == [Unavailable] * 2
    await first
    await impatient.writer.close()
    assert await office.balances(people) == [2, 0, 0]


async def test_who_waits_for_a_ledger_that_another_holds_is_told_busy_and_never_refused(
    books: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    async with office_on(books.url("points"), keys_dir, tmp_path, lock_timeout_seconds=0.05) as office:
        poor, rich = wallets(2)
        async with office.db.transaction() as holder:
            await holder.execute(text("SELECT * FROM ledger FOR UPDATE"))
            asked = [(move(poor, rich, 5), key(f"busy/{poor.id}")), (give(rich, 5), key(f"busy/{rich.id}"))]
            answers = await all_of(*(office.ask(*each) for each in asked))
        assert [type(answer) for answer in answers] == [Unavailable] * 2
        reply, repeated = await office.ask(*asked[1])
        assert (reply.status, repeated) == (201, False)


async def test_a_caller_who_goes_away_does_not_stop_what_was_begun_and_takes_along_what_was_not(office: Office) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Posting):
        async def prepare(self, session: AsyncSession, at: Any, requests: Any, /) -> Any:
            begun.set()
            await go_on.wait()
            return await super().prepare(session, at, requests)

    people = wallets(4)
    first = [asyncio.create_task(office.writer.submit(Slow, give(wallet, 2))) for wallet in people[:2]]
    await begun.wait()
    later = [asyncio.create_task(office.writer.submit(Posting, give(wallet, 2))) for wallet in people[2:]]
    await asyncio.sleep(0)
    first[0].cancel()
    later[0].cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first[1], later[1])
    assert await office.balances(people) == [2, 2, 0, 2]


async def test_who_waits_for_a_batch_that_takes_too_long_is_not_told_that_nothing_was_changed(office: Office) -> None:
    go_on = asyncio.Event()

    class Slow(Posting):
        async def prepare(self, session: AsyncSession, at: Any, requests: Any, /) -> Any:
            await go_on.wait()
            return await super().prepare(session, at, requests)

    hasty, [wallet] = office.beside(work_seconds=0.05), wallets(1)
    with pytest.raises(OutcomeUnknown):
        await hasty.writer.submit(Slow, give(wallet, 2))
    go_on.set()
    await hasty.writer.close()
    assert await office.balances([wallet]) == [2]


async def test_at_the_end_of_the_day_what_was_taken_is_done_and_nothing_more_is_taken(office: Office) -> None:
    closing, people = office.beside(most_a_batch=2), wallets(9)
    asking = [asyncio.create_task(closing.writer.submit(Posting, give(wallet, 2))) for wallet in people[:8]]
    await asyncio.sleep(0)
    await closing.writer.close()
    with pytest.raises(Unavailable):
        await closing.writer.submit(Posting, give(people[8], 2))
    assert all(task.done() for task in asking)
    await asyncio.gather(*asking)
    assert await office.balances(people) == [2] * 8 + [0]
