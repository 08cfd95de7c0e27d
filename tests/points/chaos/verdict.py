"""What must hold when the storm is over: between what the clients were told, the ledger, and everything beside it."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from beiyuan import ledger_export
from beiyuan.verify.files import verify
from beiyuan.verify.notes import read_verifiers
from services.points.audit.queries import audit, snapshot
from services.points.awards.replay import replay
from services.points.ledger.tables import Ledger
from services.points.seals import published
from services.points.seals.actions import Sealing
from services.points.terms import LedgerName
from tests.points.boards.recount import recount, stored
from tests.points.chaos import floors
from tests.points.chaos.asks import Ask, held_in, posted_in
from tests.points.chaos.books import Books
from tests.points.chaos.records import REUSED, Story
from tests.points.chaos.world import STOCK, World
from tests.points.conftest import Points
from tests.town import TestDatabase, actor

TOLD = ("id", "ledger", "sequence", "code", "amount", "reference")
REFUSALS = {
    "transfer": {"insufficient_points", "same_account", "reference_used"},
    "batch": {"insufficient_points", "same_account", "reference_used", "link_open"},
    "hold": {"insufficient_points", "same_account", "reference_used", "lapse_not_ahead"},
    "post": {"hold_already_posted", "hold_voided", "hold_lapsed", "hold_exceeded", "same_account"},
    "void": {"hold_already_posted", "hold_voided", "hold_lapsed"},
    "reverse": {"reversal_exceeds_transfer", "not_reversible", "not_by_hand", "same_account", "reference_used"},
    "propose": {"reference_used"},
    "approve": {
        *("proposal_closed", "insufficient_points", "reference_used"),
        *("reversal_exceeds_transfer", "not_reversible", "same_account"),
    },
    "redeem": {"insufficient_points", "out_of_stock"},
    "use": {"COUPON_USED", "COUPON_CODE_STALE"},
    "facts": set(),
    "join": set(),
}
"""What may be refused of what is asked for. No other refusal is the asker's fault here, so it would be a lie."""


async def check_all(story: Story, world: World, database: TestDatabase, points: Points) -> None:
    """Everything. `points` is the service on the same database, with nobody else at work."""
    check_answers(story)
    books = Books(database)
    check_ledger(story, books)
    check_balances(story, books)
    check_holds(story, books)
    check_others(story, books, world)
    floors.check_floors(story, books)
    floors.check_refusals(story, books, world)
    await check_the_rest(points, database)


def check_answers(story: Story) -> None:
    """Nothing failed; every refusal is one that may be; what was asked for again was answered as before, once done."""
    assert set(story.looks) <= {200, 503}
    by_key: dict[str, set[str]] = defaultdict(set)
    for asked in story.asked.values():
        for told in asked.answers:
            answer = told.answer
            shown = f"{asked.ask} was answered {answer}"
            if answer.status == 503:
                assert answer.code in {"unavailable", "outcome_unknown"} or asked.ask.kind == "use", shown
                assert answer.retry_after, shown
            elif answer.status >= 300 and answer.code.lower() not in {REUSED, "request_in_progress"}:
                assert answer.status in {404, 409, 422, 403}, shown
                assert answer.code in REFUSALS[asked.ask.kind], shown
            else:
                assert answer.status in {200, 201, 202, 409, 422}, shown
        first_times = [told.answer for told in asked.settled if not told.answer.hit and told.answer.code != REUSED]
        if asked.ask.key:
            different = {
                (told.answer.status, repr(told.answer.body)) for told in asked.settled if told.answer.code != REUSED
            }
            assert len(different) <= 1, f"{asked.ask} was answered in more than one way: {different}"
            assert len(first_times) <= 1, f"{asked.ask} was done more than once, by what was answered: {first_times}"
            if different:
                by_key[asked.ask.key].add(asked.ask.id)
        assert asked.settled or asked.nothing_done, f"nobody says what became of {asked.ask}"
    for key, ids in by_key.items():
        assert len(ids) == 1, f"under {key} more than one thing was done: {[story.asked[id_].ask for id_ in ids]}"


def _acknowledged(story: Story) -> dict[UUID, tuple[Ask, dict[str, Any]]]:
    """The transfers that were answered, each of one request."""
    found: dict[UUID, tuple[Ask, dict[str, Any]]] = {}
    for asked in story.of("transfer", "batch", "post", "reverse", "propose", "approve"):
        for posted in posted_in(asked.done):
            id_ = UUID(posted["id"])
            assert id_ not in found, f"{posted} was answered to {found[id_][0]} and to {asked.ask}"
            found[id_] = asked.ask, posted
    return found


def check_ledger(story: Story, books: Books) -> None:
    """Every acknowledged transfer is there as it was answered, and nothing is there that nobody asked for."""
    acknowledged = _acknowledged(story)
    rows = {row["id"]: row for row in books.transfers}
    entries = {
        (row[f"{side}_account_id"], row[f"{side}_version"]): (row[f"{side}_balance"], row["posted_at"])
        for row in books.transfers
        for side in ("debit", "credit")
    }
    for id_, (ask, posted) in acknowledged.items():
        assert id_ in rows, f"{posted} was acknowledged to {ask}, and is not there"
        row, at = rows[id_], datetime.fromisoformat(posted["posted_at"])
        assert [str(row[name]) for name in TOLD] == [str(posted[name]) for name in TOLD]
        assert row["posted_at"] == at
        for side in ("debit", "credit"):
            account, version = UUID(posted[side]["account_id"]), posted[side]["version"]
            # What came back from a hold or by a reversal may have expired in the same step.
            assert row[f"{side}_account_id"] == account
            assert row[f"{side}_version"] <= version
            assert entries[account, version] == (posted[side]["balance"], at)
    reversals = {posted["reference"] for ask, posted in acknowledged.values() if ask.kind in {"reverse", "approve"}}
    for id_, row in rows.items():
        if id_ not in acknowledged:
            assert _follows(row, books, reversals), f"nobody was told of {row}"


def _follows(row: dict[str, Any], books: Books, reversals: set[str]) -> bool:
    """Whether a transfer that was answered to nobody comes of something else: of time, a fact, a coupon."""
    if row["code"] == "expiry":
        return bool(row["reference"].startswith("expiry/"))
    if row["code"] == "merger":
        return row["id"] in books.of_mergers
    if row["code"] == "reversal":
        reference, slash, _ = row["reference"].partition("/expiry/")
        if "/" in reference:  # nobody's own: an award was taken back, since its fact was withdrawn
            return bool(slash) or row["reverses_id"] in books.of_awards
        return bool(slash) and reference in reversals
    return row["reference"].startswith("before/") or row["id"] in books.of_coupons | books.of_awards


def check_balances(story: Story, books: Books) -> None:
    """Balances are the sum of what was answered, and of what came of it by itself."""
    sums: Counter[UUID] = Counter()
    acknowledged = _acknowledged(story)
    for _, posted in acknowledged.values():
        sums[UUID(posted["debit"]["account_id"])] -= posted["amount"]
        sums[UUID(posted["credit"]["account_id"])] += posted["amount"]
    for row in books.transfers:
        if row["id"] not in acknowledged:
            sums[row["debit_account_id"]] -= row["amount"]
            sums[row["credit_account_id"]] += row["amount"]
    assert {id_: row["balance"] for id_, row in books.accounts.items()} == {id_: sums[id_] for id_ in books.accounts}


def check_holds(story: Story, books: Books) -> None:
    """Every acknowledged hold is there, once, in the state that was answered last; and no other."""
    held = {UUID(hold["id"]) for asked in story.of("hold") for hold in held_in(asked.done)}
    assert {row["id"] for row in books.holds} == held
    closed = {UUID(hold["id"]): hold["state"] for asked in story.of("post", "void") for hold in held_in(asked.done)}
    for row in books.holds:
        assert row["state"] in ({closed[row["id"]]} if row["id"] in closed else {"open", "lapsed"}), row


def check_others(story: Story, books: Books, world: World) -> None:
    """Coupons, uses, proposals and facts: each that was acknowledged is there, once, and no other."""
    bought = Counter(asked.done["id"] for asked in story.of("redeem") if asked.done)
    assert bought == Counter(books.coupons.keys())
    used = {asked.done["coupon_id"] for asked in story.of("use") if asked.done}
    assert used == {id_ for id_, row in books.coupons.items() if row["state"] == "used"}
    [reward] = [row for row in books.rewards if row["id"] == world.reward_id]
    assert reward["stock"] == STOCK - len(bought) >= 0
    if any(told.answer.code == "out_of_stock" for asked in story.of("redeem") for told in asked.answers):
        assert reward["stock"] == 0, "it was said to be out of stock"
    proposed = {UUID(asked.done["id"]) for asked in story.asked.values() if asked.final and asked.final.status == 202}
    assert set(books.proposals) == proposed
    approved = Counter(UUID(asked.done["id"]) for asked in story.of("approve") if asked.done)
    assert approved == Counter(id_ for id_, row in books.proposals.items() if row["state"] == "approved")
    told = [envelope for asked in story.of("facts") for envelope in asked.ask.body]
    assert Counter(row["type"] for row in books.facts) == Counter(envelope["type"] for envelope in told)


async def check_the_rest(points: Points, database: TestDatabase) -> None:
    """The audit finds nothing, awards can be made again, boards are what the ledger says."""
    await points.check()
    async with points.client(actor("auditor")) as client:
        for ledger in LedgerName:
            answer = await client.get("/api/points/boards/all", params={"ledger": ledger})
            assert answer.status_code == 200, answer.text
    async with points.db.transaction() as session:
        last = {ledger.name: ledger.last_sequence for ledger in await session.scalars(select(Ledger))}
        assert await stored(session) == await recount(session, last)
    with snapshot(database.url("points")) as connection:
        findings = [finding for part in audit(connection) for finding in part.findings]
    assert not findings
    differences = [difference for part in replay(database.url("points")) for difference in part.differences]
    assert not differences
    await _check_seals(points)


async def _check_seals(points: Points) -> None:
    """Whoever verifies an export, and the heads that were published meanwhile, finds nothing."""
    sealing: Sealing = points.town.apps["points"].state.seals.sealing
    for ledger in LedgerName:
        path = points.town.home / f"{ledger}.jsonl"
        await ledger_export.export(points.town.settings("points"), ledger, path, lambda done, of: None)
        heads = published.path_of(sealing.folder, ledger)
        report = verify(path, read_verifiers(f"{sealing.key.verifier(ledger)}\n"), heads if heads.exists() else None)
        assert not report.problems
