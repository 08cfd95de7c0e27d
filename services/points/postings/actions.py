"""Posting by hand: a deed that many requests are carried out by at once, and what a second administrator decides."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import day_of
from chassis.core.errors import DomainError
from services.points.households.queries import households_joined, known_households
from services.points.ledger.core.book import Book
from services.points.ledger.core.state import Result
from services.points.ledger.loading import load
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import household_wallet
from services.points.postings import plans, queries, rules
from services.points.postings.errors import LinkedFailed, ProposalNotFound, ProposalPending
from services.points.postings.plans import ACTS, Ask, Plan
from services.points.postings.queries import Done
from services.points.postings.records import ProposalOut
from services.points.postings.schemas import HoldVoidIn
from services.points.postings.tables import Proposal
from services.points.postings.terms import ProposalState
from services.points.statements.rules import own_wallets
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True)
class Approve:
    """A second administrator approves a proposal."""

    actor: Actor
    proposal_id: UUID


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: a result or refusal for each item, or a proposal that waits for another administrator."""

    at: datetime
    results: list[Result | DomainError]
    proposal: Proposal | None
    points: int = 0


class _NeedsSecond(Exception):
    """What was tried moves too much, or the points of whoever asks: it is undone, and a second one decides."""


@dataclass(frozen=True)
class ByHand:
    """Makes the deeds of postings by hand: one administrator may post up to `limit` points alone, and up to `day_limit`
    in a day of Beijing, so that nothing is gained by splitting what is above the first.
    """

    limit: int
    day_limit: int

    def __call__(self) -> "HandPostings":
        return HandPostings(self)


class HandPostings:
    """Postings by hand of one batch. An answer has results, or a proposal."""

    ledgers = tuple(LedgerName)
    """An account's id does not say which ledger it belongs to."""

    def __init__(self, limits: ByHand) -> None:
        self._limits = limits
        self._at: datetime = clock.now()
        self._plans: dict[UUID, Plan] = {}
        self._proposals: dict[UUID, Proposal] = {}
        self._proposed: list[Proposal] = []
        self._done: list[Done] = []
        self._known: set[UUID] = set()
        self._own: dict[Actor, set[UUID]] = {}
        self._alone: dict[UUID, int] = {}
        self._alone_now: dict[UUID, int] = {}

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Ask | Approve]) -> Needs:
        """Lock the proposals that are decided on, and say what all that is asked for may touch."""
        self._at = at
        approved = {request.proposal_id for request in requests if isinstance(request, Approve)}
        if approved:
            self._proposals = await queries.lock_proposals(session, approved)
        asks = [ask for request in requests if (ask := self._asked(request))]
        commands = [command for ask in asks for command in self._plan(ask).commands]
        needs = needs_of(commands)
        self._known = await known_households(session, rules.households_named(commands))
        self._own = await _own_wallets(session, {request.actor for request in requests})
        for own in self._own.values():
            needs.accounts |= own
        people = {request.actor.id for request in requests if isinstance(request, Ask)}
        self._alone = await queries.posted_alone(session, people, day_of(at)) if people else {}
        return needs

    def decide(self, book: Book, request: Ask | Approve) -> Outcome:
        """Carry out what is asked, or keep it as a proposal. Raises what refuses all of it."""
        if isinstance(request, Ask):
            return self._post_or_propose(book, request)
        return self._approve(book, request)

    def try_out(self, book: Book, ask: Ask) -> tuple[Outcome, bool]:
        """What would come out, and whether a second administrator would be asked."""
        outcome = self._carry_out(book, ask)
        return outcome, self._needs_second(book, ask, outcome)

    async def write(self, session: AsyncSession) -> None:
        """Keep who did it and why, and the proposals."""
        session.add_all(self._proposed)
        await session.flush()  # and those that were approved
        await queries.keep_done(session, self._done)
        await queries.keep_alone(session, self._alone_now, day_of(self._at))

    def _post_or_propose(self, book: Book, ask: Ask) -> Outcome:
        try:
            with book.together():
                outcome = self._carry_out(book, ask)
                if self._needs_second(book, ask, outcome):
                    raise _NeedsSecond
        except _NeedsSecond:
            proposal = plans.proposal(ask, outcome.points, len(outcome.results), self._at)
            self._proposed.append(proposal)
            return Outcome(self._at, [], proposal)
        self._keep(ask, outcome, approved_by=None, proposal_id=None)
        if points := rules.points_alone(ask.body, outcome.results):
            self._alone[ask.actor.id] += points
            self._alone_now[ask.actor.id] = self._alone[ask.actor.id]
        return outcome

    def _approve(self, book: Book, request: Approve) -> Outcome:
        proposal = self._proposals.get(request.proposal_id)
        if proposal is None:
            raise ProposalNotFound
        rules.check_decidable(proposal, request.actor, self._at)
        ask = plans.asked_by(proposal)
        with book.together():
            outcome = self._carry_out(book, ask)
            rules.check_no_own_points(outcome.results, self._own_accounts(book, request.actor))
        proposal.state = ProposalState.APPROVED
        proposal.decided_by, proposal.decided_at = request.actor.id, self._at
        self._keep(ask, outcome, approved_by=request.actor.id, proposal_id=proposal.id)
        return Outcome(self._at, outcome.results, proposal, outcome.points)

    def _carry_out(self, book: Book, ask: Ask) -> Outcome:
        plan = self._plan(ask)
        if plan.atomic and len(plan.commands) == 1:  # most are like that, and are not to wait for what others need
            [command], [prefix] = plan.commands, plan.prefixes
            only = rules.apply(book, command, self._at, prefix, self._known)
            return Outcome(self._at, [only], None, rules.points_of(command, only))
        together = rules.groups(plan.linked, atomic=plan.atomic)
        results = rules.carry_out(book, plan.commands, together, self._at, prefixes=plan.prefixes, known=self._known)
        if plan.atomic:
            for result in results:
                if isinstance(result, DomainError) and not isinstance(result, LinkedFailed):
                    raise result
        points = sum(map(rules.points_of, plan.commands, results))
        return Outcome(self._at, results, None, points)

    def _needs_second(self, book: Book, ask: Ask, outcome: Outcome) -> bool:
        if isinstance(ask.body, HoldVoidIn):  # no proposal is made of it: another one voids what is one's own
            rules.check_no_own_points(outcome.results, self._own_accounts(book, ask.actor))
            return False
        alone = self._alone[ask.actor.id] + rules.points_alone(ask.body, outcome.results)
        return (
            outcome.points > self._limits.limit
            or alone > self._limits.day_limit
            or rules.touches(outcome.results, self._own_accounts(book, ask.actor))
        )

    def _own_accounts(self, book: Book, actor: Actor) -> set[UUID]:
        """The accounts that are the actor's now, mergers followed."""
        own = self._own[actor]
        known = [book.state.accounts[id_] for id_ in own if id_ in book.state.accounts]
        return own | {account.merged_into_id for account in known if account.merged_into_id}

    def _asked(self, request: Ask | Approve) -> Ask | None:
        if isinstance(request, Ask):
            return request
        proposal = self._proposals.get(request.proposal_id)
        pending = proposal and proposal.state is ProposalState.PENDING and proposal.lapses_at > self._at
        return plans.asked_by(proposal) if proposal and pending else None

    def _plan(self, ask: Ask) -> Plan:
        """The request as commands: the same each time, hashes of the reason included."""
        if ask.id not in self._plans:
            self._plans[ask.id] = plans.plan(ask, self._at)
        return self._plans[ask.id]

    def _keep(self, ask: Ask, outcome: Outcome, *, approved_by: UUID | None, proposal_id: UUID | None) -> None:
        plan, act, who = self._plan(ask), ACTS[type(ask.body)], ask.actor.id
        for result, salt in zip(outcome.results, plan.salts, strict=True):
            if isinstance(result, Result):
                moved = result.transfer or result.hold
                assert moved is not None, "what is done by hand moves something"
                kept = salt if result.transfer else None
                done = Done(moved.id, act, who, self._at, approved_by, proposal_id, ask.body.reason, kept)
                self._done.append(done)


async def _own_wallets(session: AsyncSession, actors: Collection[Actor]) -> dict[Actor, set[UUID]]:
    """The wallets of each: those that their token tells of, and of every household that they are a member of by now."""
    joined = await households_joined(session, {actor.id for actor in actors})
    return {
        actor: {key.id for key in (*own_wallets(actor), *map(household_wallet, joined[actor.id]))} for actor in actors
    }


async def try_out(session: AsyncSession, limits: ByHand, ask: Ask) -> tuple[Outcome, bool]:
    """What would come of a request, and whether a second administrator would be asked. It locks and writes nothing.

    Raises what would refuse all of it.
    """
    ledgers = await queries.ledgers_at_once(session)
    deed = limits()
    needs = await deed.prepare(session, clock.now(), [ask])
    return deed.try_out(Book(await load(session, clock.now(), ledgers, needs)), ask)


async def reject(session: AsyncSession, actor: Actor, proposal_id: UUID, remark: str) -> ProposalOut:
    """Reject a proposal, for good. Raises ProposalNotFound, OwnProposal, ProposalClosed, ProposalLapsed."""
    proposal = (await queries.lock_proposals(session, {proposal_id})).get(proposal_id)
    if proposal is None:
        raise ProposalNotFound
    at = clock.now()
    rules.check_decidable(proposal, actor, at)
    proposal.state, proposal.remark = ProposalState.REJECTED, remark
    proposal.decided_by, proposal.decided_at = actor.id, at
    await session.flush()
    return ProposalOut.of(proposal, at)


async def erase_reason(session: AsyncSession, actor: Actor, transfer_id: UUID) -> None:
    """Erase the words of a transfer, wherever they stand: with the others of its batch, and with its proposal.

    Who erased them is kept. Raises TransferNotFound.
    """
    await queries.transfer_detail(session, transfer_id)
    subjects, proposals = await queries.done_for_the_words_of(session, transfer_id)
    await queries.erase_words(session, subjects, proposals, actor.id, clock.now())


async def erase_hold_reasons(session: AsyncSession, actor: Actor, hold_id: UUID) -> None:
    """Erase why a hold was made and voided, with the proposal that it came of. Raises HoldNotFound.

    Why it was posted is the reason of that transfer.
    """
    await queries.hold_detail(session, hold_id)
    subjects, proposals = await queries.done_for_the_words_of(session, hold_id)
    await queries.erase_words(session, subjects, proposals, actor.id, clock.now())


async def erase_proposal_words(session: AsyncSession, actor: Actor, proposal_id: UUID) -> None:
    """Erase a proposal's reason and the remark with which it was rejected, and the reason of what came of it.

    Raises ProposalNotFound; ProposalPending, since whoever decides must know why.
    """
    proposal = (await queries.lock_proposals(session, {proposal_id})).get(proposal_id)
    if proposal is None:
        raise ProposalNotFound
    at = clock.now()
    if proposal.state is ProposalState.PENDING and proposal.lapses_at > at:
        raise ProposalPending
    subjects = await queries.done_by_proposal(session, proposal_id)
    await queries.erase_words(session, subjects, {proposal_id}, actor.id, at)
