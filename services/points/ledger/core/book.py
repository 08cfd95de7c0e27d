"""Applying commands to a state."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from chassis.core.errors import DomainError
from services.points.ledger.core import awards, lots, mergers, moves, reversals
from services.points.ledger.core.commands import (
    Award,
    Command,
    ExpireLot,
    LapseHold,
    Linked,
    Merge,
    PostHold,
    Reserve,
    Reverse,
    TakeBack,
    Transfer,
    VoidHold,
)
from services.points.ledger.core.journal import Journal
from services.points.ledger.core.posting import side, standing
from services.points.ledger.core.state import Changes, Result, State


def expire_lot(journal: Journal, command: ExpireLot) -> Result:
    """What is free of a lot expires where it is due; else nothing. What is held of it does not."""
    lot = journal.state.lots.get(command.lot_id)
    if lot is None or not lot.free:
        return Result()
    wallet = standing(journal, lot.account_id)
    if lot.expires_at > journal.moment(wallet.ledger):
        return Result()
    posted = lots.expire_free(journal, wallet, lot)
    return Result(
        transfer=posted,
        debit=side(wallet),
        credit=side(journal.state.accounts[posted.credit_account_id]),
    )


RULES: dict[type, Callable[[Journal, Any], Result]] = {
    Transfer: moves.transfer,
    Reserve: moves.reserve,
    PostHold: moves.post_hold,
    VoidHold: moves.void_hold,
    LapseHold: moves.lapse_hold,
    Reverse: reversals.reverse,
    ExpireLot: expire_lot,
    Merge: mergers.merge,
    Award: awards.award,
    TakeBack: awards.take_back,
}


class Book:
    """A state that commands are applied to one after another, and the rows that come of it.

    Not two at once: it is the business of one batch.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._journal = Journal(state)

    @property
    def changes(self) -> Changes:
        """The rows to write for all that was applied so far, put together anew each time."""
        return self._journal.changes()

    def apply(self, command: Command) -> Result:
        """Carry out one command, or raise the DomainError that refuses it, having changed nothing."""
        journal = self._journal
        mark = journal.mark()
        try:
            return RULES[type(command)](journal, command)
        except BaseException:
            journal.undo_to(mark)
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is applied within the block stands, or, where it raises, none of it. It may be nested."""
        journal = self._journal
        mark = journal.mark()
        try:
            yield
        except BaseException:
            journal.undo_to(mark)
            raise


def run(state: State, commands: Sequence[Command | Linked]) -> tuple[Changes, list[tuple[Result, ...] | DomainError]]:
    """The core as a function: the rows to write, and for each command its results (one; of a group, one for each of
    its commands), or the refusal.

    `state` itself is used up: it becomes what it is after the commands.
    """
    book = Book(state)
    outcomes: list[tuple[Result, ...] | DomainError] = []
    for command in commands:
        try:
            if isinstance(command, Linked):
                with book.together():
                    outcomes.append(tuple([book.apply(part) for part in command.commands]))
            else:
                outcomes.append((book.apply(command),))
        except DomainError as error:
            outcomes.append(error)
    return book.changes, outcomes
