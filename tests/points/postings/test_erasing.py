"""Words that tell what must not be kept can be erased wherever they stand; what was posted stays as it was."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger.tables import TransferText
from tests.points.postings.desk import HOLDS, ISSUANCE, POSTINGS, TRANSFERS, Desk, gift, wallet
from tests.town import actor

SECRET = "李某某住院"
AUDITOR = actor("auditor")


async def erase(desk: Desk, path: str, status: int = 204) -> Any:
    async with desk.points.client(desk.admin) as client:
        answer = await client.delete(f"{path}/reason")
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def move(household: Any, amount: int = 1) -> dict[str, Any]:
    return {name: value for name, value in gift(household, amount).items() if name != "reason"}


def hold(household: Any, amount: int, **further: Any) -> dict[str, Any]:
    lapses_at = (clock.now() + timedelta(hours=1)).isoformat()
    body = {"debit": wallet(household), "credit": ISSUANCE, "amount": amount, "lapses_at": lapses_at}
    return body | {"reason": SECRET} | further


async def words(desk: Desk, *paths: str) -> list[str | None]:
    return [(await desk.get(path, who=AUDITOR)).json()["reason"] for path in paths]


async def test_words_erased_of_one_transfer_are_gone_from_its_whole_batch_and_from_no_other(desk: Desk) -> None:
    home = new_id()
    batch = {"reason": SECRET, "transfers": [move(home), move(home), move(home)]}
    first, second = [await desk.done(f"{TRANSFERS}/batch", batch, status=200) for _ in range(2)]
    of_first, of_second = (
        [f"{TRANSFERS}/{item['transfer']['id']}" for item in done["results"]] for done in (first, second)
    )
    other = await desk.done(TRANSFERS, gift(home, 1, reason="别的"))
    await erase(desk, of_first[1])
    assert await words(desk, *of_first) == [None] * 3
    assert await words(desk, *of_second, f"{TRANSFERS}/{other['id']}") == [SECRET] * 3 + ["别的"]
    for path in of_first:
        assert (await desk.get(path)).json()["reason_erased_by"] == str(desk.admin.id)
    statement = await desk.points.entries(actor("resident", household_id=home), "civic")
    assert [line["reason"] for line in statement].count(SECRET) == 3


async def test_words_that_were_once_erased_of_one_transfer_alone_go_from_its_batch_when_asked_again(desk: Desk) -> None:
    home = new_id()
    batch = {"reason": SECRET, "transfers": [move(home), move(home)]}
    done = await desk.done(f"{TRANSFERS}/batch", batch, status=200)
    one, other = (f"{TRANSFERS}/{item['transfer']['id']}" for item in done["results"])
    async with desk.points.db.transaction() as session:  # as earlier versions did
        await session.execute(delete(TransferText).where(TransferText.transfer_id == UUID(one.rpartition("/")[2])))
    await erase(desk, one)
    assert await words(desk, one, other) == [None, None]


async def test_words_erased_of_a_transfer_are_gone_from_all_that_came_of_its_proposal(desk: Desk) -> None:
    home = new_id()
    batch = {"reason": SECRET, "transfers": [move(home, 600), move(home, 700)]}
    proposed = await desk.done(f"{TRANSFERS}/batch", batch, status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    done = await desk.done(f"{path}/approve", who=desk.second, status=200)
    one, other = (f"{TRANSFERS}/{item['transfer']['id']}" for item in done["results"])
    await erase(desk, one)
    assert await words(desk, one, other, path) == [None] * 3
    assert (await desk.get(path)).json()["reason_erased_by"] == str(desk.admin.id)


async def test_why_a_hold_was_made_and_voided_can_be_read_and_erased(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 100)
    made = await desk.done(HOLDS, hold(home, 10))
    path = f"{HOLDS}/{made['hold']['id']}"
    await desk.done(f"{path}/void", {"reason": f"{SECRET}，不去了"}, status=200)
    shown = (await desk.get(path, who=AUDITOR)).json()
    assert [(act["act"], act["done_by"], act["reason"]) for act in shown["by_hand"]] == [
        ("hold", str(desk.admin.id), SECRET),
        ("void", str(desk.admin.id), f"{SECRET}，不去了"),
    ]
    await erase(desk, path)
    await erase(desk, path)
    erased = (await desk.get(path, who=AUDITOR)).json()
    assert SECRET not in str(erased)
    assert [act["reason_erased_by"] for act in erased["by_hand"]] == [str(desk.admin.id)] * 2
    assert erased | {"by_hand": []} == shown | {"by_hand": []}
    assert (await erase(desk, f"{HOLDS}/{new_id()}", 404))["code"] == "hold_not_found"


async def test_why_a_hold_was_proposed_goes_with_the_hold_and_why_it_was_posted_with_the_transfer(desk: Desk) -> None:
    home = new_id()
    for _ in range(2):
        await desk.give(home, 1000)
    proposed = await desk.done(HOLDS, hold(home, 1500), status=202)
    asked = f"{POSTINGS}/{proposed['id']}"
    done = await desk.done(f"{asked}/approve", who=desk.second, status=200)
    path = f"{HOLDS}/{done['results'][0]['hold']['id']}"
    posted = await desk.done(f"{path}/post", {"reason": SECRET, "amount": 3})
    await erase(desk, path)
    assert await words(desk, asked, f"{TRANSFERS}/{posted['transfer']['id']}") == [None, SECRET]
    await erase(desk, f"{TRANSFERS}/{posted['transfer']['id']}")
    assert await words(desk, f"{TRANSFERS}/{posted['transfer']['id']}") == [None]


async def test_what_was_rejected_or_lapsed_can_be_erased_with_the_remark_and_what_waits_cannot(desk: Desk) -> None:
    home = new_id()
    rejected, waiting = [(await desk.done(TRANSFERS, gift(home, 2000, reason=SECRET), status=202)) for _ in range(2)]
    path, pending = (f"{POSTINGS}/{proposed['id']}" for proposed in (rejected, waiting))
    await desk.done(f"{path}/reject", {"reason": f"{SECRET}，不对"}, who=desk.second, status=200)
    await erase(desk, path)
    shown = (await desk.get(path, who=AUDITOR)).json()
    assert (shown["reason"], shown["remark"], shown["reason_erased_by"]) == (None, None, str(desk.admin.id))
    assert (await erase(desk, pending, 409))["code"] == "proposal_pending"
    assert await words(desk, pending) == [SECRET]
    with clock.frozen(clock.now() + timedelta(days=8)):
        await erase(desk, pending)
        assert await words(desk, pending) == [None]
        assert (await desk.refused(f"{pending}/approve", who=desk.second))[:2] == (409, "proposal_lapsed")
    assert (await erase(desk, f"{POSTINGS}/{new_id()}", 404))["code"] == "proposal_not_found"


async def test_the_words_of_what_came_of_a_proposal_go_with_it(desk: Desk) -> None:
    proposed = await desk.done(TRANSFERS, gift(new_id(), 2000, reason=SECRET), status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    [item] = (await desk.done(f"{path}/approve", who=desk.second, status=200))["results"]
    await erase(desk, path)
    assert await words(desk, path, f"{TRANSFERS}/{item['transfer']['id']}") == [None, None]
