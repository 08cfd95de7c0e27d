"""Reading docs/ledger-examples.md, whose first part says how its blocks are written."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from chassis.core.beijing import BEIJING

BEGINNING = datetime(2024, 1, 1, tzinfo=BEIJING)
"""When nothing has happened yet."""

PAGE = Path(__file__).parents[3] / "docs" / "ledger-examples.md"

KINDS = ("household", "person", "staff", "unit", "community", "merchant")
SYSTEM = {
    "issued": "civic system",
    "expired": "civic system",
    "coupons": "civic system",
    "paid": "civic system",
    "staff-issued": "staff system",
    "staff-expired": "staff system",
}
NAME = r"[\w./-]+"
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?"
CODES = "redemption|use|activity|settlement|adjustment"


@dataclass(frozen=True)
class Step:
    """A command, as the model's method `verb` takes it. `happened`: when what an award is for did."""

    verb: str
    args: dict[str, Any]
    happened: datetime | None = None


@dataclass(frozen=True)
class Line:
    """A line of an example: a moment, a group of steps with the refusal that they should meet, or an expectation."""

    number: int
    text: str
    at: datetime | None = None
    steps: tuple[Step, ...] = ()
    refusal: str | None = None
    expects: str | None = None


@dataclass
class Example:
    number: int
    title: str
    lines: list[Line] = field(default_factory=list)


class LotPicture(NamedTuple):
    wallet: str
    free: int
    held: int
    until: date


class HoldPicture(NamedTuple):
    wallet: str
    state: str
    amount: int
    posted: int | None


class TransferPicture(NamedTuple):
    name: str
    debit: str
    credit: str
    amount: int
    code: str
    reverses: str | None
    rule: tuple[str, int] | None
    posted: datetime


@dataclass
class Picture:
    """What a ledger looks like, wherever it is kept: names for ids, and nothing where there is zero."""

    balance: Mapping[str, int]
    held: Mapping[str, int]
    debt: Mapping[str, int]
    merged: dict[str, str]
    lots: dict[str, LotPicture]
    holds: dict[str, HoldPicture]
    civic: list[TransferPicture]
    staff: list[TransferPicture]
    allocations: dict[tuple[str, str], int]
    caps: Mapping[tuple[str, str, str], int]


def names(text: str) -> tuple[str, ...]:
    return tuple(re.split(r",\s*", text)) if text else ()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


COMMANDS = {
    "award": rf"award (?P<name>{NAME}) (?P<rule>[a-z_.]+)(?:@(?P<version>\d+))? (?P<due>\d+) to (?P<wallet>{NAME})"
    rf"(?: for (?P<subjects>{NAME}(?:, {NAME})*))?"
    rf"(?: cap (?P<limit>\d+) (?:a (?P<period>day|month|year)|in campaign (?P<campaign>{NAME})) of (?P<holder>{NAME}))?"
    rf"(?: happened (?P<happened>{MOMENT}))?",
    "withdraw": rf"withdraw (?P<of>{NAME}) as (?P<name>{NAME})",
    "transfer": rf"(?P<code>{CODES}) (?P<name>{NAME}) (?P<amount>-?\d+) from (?P<debit>{NAME}) to (?P<credit>{NAME})",
    "hold": rf"hold (?P<name>{NAME}) (?P<amount>-?\d+) of (?P<wallet>{NAME}) for (?P<credit>{NAME})"
    rf" until (?P<lapses>{MOMENT})",
    "post": rf"post (?P<name>{NAME})(?: (?P<amount>-?\d+))?",
    "void": rf"void (?P<name>{NAME})",
    "lapse": rf"lapse (?P<name>{NAME})",
    "expire": rf"expire (?P<name>{NAME})",
    "reverse": rf"reverse (?P<of>{NAME})(?: (?P<amount>-?\d+))? as (?P<name>{NAME})",
    "merge": rf"merge (?P<old>{NAME}) into (?P<new>{NAME}) as (?P<name>{NAME})",
}


def command(text: str, now: datetime) -> Step:
    """The command that a line says."""
    for verb, pattern in COMMANDS.items():
        if found := re.fullmatch(pattern, text):
            args: dict[str, Any] = {key: value for key, value in found.groupdict().items() if value is not None}
            for number in args.keys() & {"amount", "due"}:
                args[number] = int(args[number])
            if verb == "award":
                happened = moment(args.pop("happened")) if "happened" in args else now
                return Step(verb, awarded(args, happened), happened)
            if verb == "hold":
                args |= {"lapses": moment(args["lapses"]), "code": "activity"}
            return Step(verb, args)
    raise ValueError(f"no such line: {text}")


def awarded(args: dict[str, Any], happened: datetime) -> dict[str, Any]:
    """The rule's version, and which period's cap it is: that in which the fact happened, by Beijing's days."""
    rule = args["rule"], int(args.pop("version", 1))
    cap = None
    if "limit" in args:
        parts = {"day": f"{happened:%Y-%m-%d}", "month": f"{happened:%Y-%m}", "year": f"{happened:%Y}"}
        period = parts[args.pop("period")] if "period" in args else f"campaign/{args.pop('campaign')}"
        cap = (args["rule"], args.pop("holder"), period), int(args.pop("limit"))
    return args | {"rule": rule, "subjects": names(args.get("subjects", "")), "cap": cap}


def blocks(text: str) -> Iterator[tuple[str | None, int, str]]:
    """(heading above, line number, line) of all lines in ```ledger blocks."""
    heading, inside = None, False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") and not inside:
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            inside = line == "```ledger"
        elif inside and (said := line.split("#")[0].strip()):
            yield heading, number, said


def read(text: str) -> tuple[dict[str, str], list[Example]]:
    """Who is in the examples (name: kind), and the examples in their order."""
    cast, examples = dict(SYSTEM), dict[str, Example]()
    now: datetime = BEGINNING
    group: list[Step] | None = None
    for heading, number, said in blocks(text):
        word, _, rest = said.partition(" ")
        if word in KINDS:
            cast |= dict.fromkeys(names(rest), word)
            continue
        title = re.fullmatch(r"(\d+)\. (.+)", heading or "")
        assert title, f"line {number}: a block that stands under no example"
        example = examples.setdefault(title[0], Example(int(title[1]), title[2]))
        lines = example.lines
        if word == "at":
            now = moment(rest)
            lines.append(Line(number, said, at=now))
        elif word == "=>":
            lines.append(Line(number, said, expects=rest))
        elif word == "!":
            last = lines.pop()
            lines.append(Line(last.number, last.text, steps=last.steps, refusal=rest))
        elif said == "linked":
            group = []
        elif said == "end" and group is not None:
            lines.append(Line(number, "linked", steps=tuple(group)))
            group = None
        elif group is not None:
            group.append(command(said, now))
        else:
            lines.append(Line(number, said, steps=(command(said, now),)))
    return cast, list(examples.values())


EXPECTATIONS = {
    "account": rf"(?P<account>{NAME})(?P<fields>(?: (?:balance|held|available|debt) -?\d+)+)",
    "lots": rf"(?P<account>{NAME}) lots (?P<lots>.+)",
    "merged": rf"(?P<old>{NAME}) merged into (?P<new>{NAME})",
    "granted": r"granted (?P<points>\d+)",
    "hold": rf"hold (?P<name>{NAME}) (?P<state>open|posted|voided|lapsed) (?P<amount>\d+)(?: of (?P<whole>\d+))?",
    "moved": rf"moved (?P<name>{NAME}) (?P<amount>\d+) from (?P<debit>{NAME}) to (?P<credit>{NAME})"
    rf"(?: reverses (?P<reverses>{NAME}))?",
    "journal": r"(?P<ledger>civic|staff) journal(?: (?P<names>.+))?",
    "allocated": rf"(?P<cause>{NAME}) (?P<way>took|gave) (?P<lots>.+)",
    "cap": rf"cap (?P<rule>{NAME}) (?P<holder>{NAME}) (?P<period>{NAME}) used (?P<used>\d+)",
}
BOARD = re.compile(
    r"board (?P<ledger>civic|staff) (?P<period>week|month|quarter|year|all)"
    r"(?: of (?P<day>\d{4}-\d\d-\d\d))? (?P<standings>.+)"
)


@dataclass(frozen=True)
class Standing:
    """What a board should say of somebody: in the period that has this day in it."""

    ledger: str
    period: str
    day: date
    subject: str
    points: int


def standings(expectation: str, now: datetime) -> list[Standing] | None:
    """What a line says about a board; None where it is about something else."""
    found = BOARD.fullmatch(expectation)
    if not found:
        return None
    day = date.fromisoformat(found["day"]) if found["day"] else now.date()
    pairs = [standing.rsplit(" ", 1) for standing in names(found["standings"])]
    return [Standing(found["ledger"], found["period"], day, who, int(points)) for who, points in pairs]


def check(expectation: str, picture: Picture, granted: int) -> None:
    """Is the ledger as an expectation says? `granted` is what the last command granted."""
    for kind, pattern in EXPECTATIONS.items():
        if found := re.fullmatch(pattern, expectation):
            said, is_ = compared(
                kind, {key: value for key, value in found.groupdict().items() if value}, picture, granted
            )
            assert is_ == said
            return
    raise ValueError(f"no such expectation: {expectation}")


def compared(kind: str, said: dict[str, str], picture: Picture, granted: int) -> tuple[object, object]:
    """What is expected, and what there is."""
    match kind:
        case "account":
            words = said["fields"].split()
            wanted = {word: int(number) for word, number in zip(words[::2], words[1::2], strict=True)}
            return wanted, {word: field_of(picture, said["account"], word) for word in wanted}
        case "lots":
            return said["lots"], lots_of(picture, said["account"])
        case "merged":
            return said["new"], picture.merged.get(said["old"])
        case "granted":
            return int(said["points"]), granted
        case "hold":
            hold = picture.holds[said["name"]]
            whole = int(said.get("whole", said["amount"]))
            return (said["state"], whole, int(said["amount"])), (hold.state, hold.amount, hold.posted or hold.amount)
        case "moved":
            (transfer,) = [row for row in picture.civic + picture.staff if row.name == said["name"]]
            return said, {key: str(getattr(transfer, key)) for key in said}
        case "journal":
            rows = picture.civic if said["ledger"] == "civic" else picture.staff
            return names(said.get("names", "")), tuple(row.name for row in rows)
        case "allocated":
            sign = -1 if said["way"] == "took" else 1
            wanted = {lot: sign * int(number) for lot, number in (pair.split() for pair in names(said["lots"]))}
            of_cause = {
                lot: x for (cause, lot), x in picture.allocations.items() if cause == said["cause"] and x * sign > 0
            }
            return wanted, of_cause
        case _:
            return int(said["used"]), picture.caps.get((said["rule"], said["holder"], said["period"]), 0)


def field_of(picture: Picture, account: str, word: str) -> int:
    if word == "available":
        return picture.balance.get(account, 0) - picture.held.get(account, 0)
    values: Mapping[str, int] = getattr(picture, word)
    return values.get(account, 0)


def lots_of(picture: Picture, wallet: str) -> str:
    """All that a wallet's lots have left, the first to expire first: `A1 20+10 until 2028-01-01`, free + held."""
    left = [(name, lot) for name, lot in picture.lots.items() if lot.wallet == wallet and lot.free + lot.held]
    left.sort(key=lambda pair: pair[1].until)
    return ", ".join(f"{name} {lot.free}+{lot.held} until {lot.until}" for name, lot in left) or "none"
