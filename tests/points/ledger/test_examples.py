"""The worked examples of docs/ledger-examples.md: whatever keeps the ledger's points must come out as the page says."""

from collections.abc import Callable, Mapping

import pytest

from tests.points.conftest import Points
from tests.points.ledger import examples
from tests.points.ledger.acceptance import AwardsWorld
from tests.points.ledger.database import DatabaseWorld
from tests.points.ledger.examples import BEGINNING, PAGE, Example, Line, Picture, Standing
from tests.points.ledger.worlds import CoreWorld, ModelWorld

CAST, EXAMPLES = examples.read(PAGE.read_text())

World = ModelWorld | CoreWorld | DatabaseWorld


async def done(world: World, line: Line) -> list[int] | str:
    """What became of the steps of a line. (The database takes its time to answer, the others do not.)"""
    outcome = world.do(line.steps)
    return outcome if isinstance(outcome, list | str) else await outcome


async def shown(world: World) -> Picture:
    """What the world looks like."""
    picture = world.picture()
    return picture if isinstance(picture, Picture) else await picture


async def follow(example: Example, world: World) -> None:
    """Do what an example says, and look whether what it expects is so."""
    now, granted = BEGINNING, 0
    picture: Picture | None = None
    for line in example.lines:
        try:
            if line.at:
                now = line.at
                world.at(now)
            elif line.refusal:
                picture = picture or await shown(world)
                assert await done(world, line) == line.refusal
                assert await shown(world) == picture, "what is refused changes nothing"
            elif line.steps:
                outcome = await done(world, line)
                assert isinstance(outcome, list), outcome
                granted, picture = outcome[-1], None
            elif line.expects and (standings := examples.standings(line.expects, now)) is not None:
                for standing in standings:
                    await check_board(standing, world)
            elif line.expects:
                picture = picture or await shown(world)
                examples.check(line.expects, picture, granted)
        except Exception as error:
            error.add_note(f"{PAGE.name}, line {line.number}: {line.text}")
            raise


async def check_board(standing: Standing, world: World) -> None:
    """The core has no boards: they are the ledger's readers."""
    if isinstance(world, ModelWorld):
        points = world.model.board(standing.ledger, standing.period, standing.day, standing.subject)
    elif isinstance(world, DatabaseWorld):
        points = await world.standing(standing)
    else:
        return
    assert (standing.subject, points) == (standing.subject, standing.points)


def test_every_example_is_read() -> None:
    """Somebody who reads the page must be able to rely on all of it."""
    assert [example.number for example in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
    assert len(EXAMPLES) >= 30
    for example in EXAMPLES:
        expected = [line.expects for line in example.lines if line.expects]
        assert any(" balance " in line for line in expected), f"{example.title} says nothing of an account"
        assert any(" lots " in line for line in expected), f"{example.title} says nothing of lots"
        assert any(line.startswith("board ") for line in expected), f"{example.title} says nothing of a board"


each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.number}")


@each_example
@pytest.mark.parametrize("world", [ModelWorld, CoreWorld], ids=["model", "core"])
async def test_the_rules_give_a_family_what_the_page_says(
    example: Example, world: Callable[[Mapping[str, str]], World]
) -> None:
    await follow(example, world(CAST))


@each_example
async def test_the_database_gives_a_family_what_the_page_says(example: Example, empty_ledger: Points) -> None:
    async with empty_ledger.db.sessions() as session:
        await follow(example, DatabaseWorld(session, CAST))
        await session.rollback()


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if example.number != 5],  # what is awarded for a fact has a reference of its own
    ids=lambda example: f"{example.number}",
)
async def test_facts_told_give_a_family_what_the_page_says(example: Example, without_rules: Points) -> None:
    async with without_rules.db.sessions() as session:
        await follow(example, await AwardsWorld.of(session, CAST, example))
        await session.rollback()
