"""A toy service that publishes: notes are written into boxes."""

from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import Depends, FastAPI
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.client import Directory
from chassis.core.errors import Conflict
from chassis.core.ids import new_id
from chassis.core.messages import Message, publish
from chassis.core.runtime import Parts
from chassis.core.schema import In, Out, Text
from chassis.core.settings import ServiceSettings
from chassis.web.app import Service, build_service
from chassis.web.auth import require
from chassis.web.deps import SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from tests.chassis.toy.tables import Box, Note

MayWrite = Annotated[Actor, Depends(require("writer"))]
NOTES = "/api/sender/notes"


class WordsTaken(Conflict):
    code = "words_taken"
    title, title_zh = "These words were written before", "内容重复"


class NoteWritten(Message):
    """A note was written; `number` counts the notes of its box."""

    type: ClassVar[str] = "sender.note_written.v1"
    to: ClassVar[tuple[str, ...]] = ("receiver",)

    box: str
    number: int
    words: str
    remark: str | None

    @property
    def aggregate(self) -> str:
        return f"box/{self.box}"


class NoteIn(In):
    """What is to be written."""

    box: Annotated[str, Text(40)]
    words: Annotated[str, Text(500)]
    copies: int = Field(default=1, ge=1, le=100)


class NoteOut(Out):
    """What was written."""

    id: UUID
    box: str
    number: int
    words: str


async def write(session: AsyncSession, box_name: str, words: str) -> NoteOut:
    """Write a note and publish that it was written. The box's lock keeps its messages in order."""
    box = await session.scalar(select(Box).where(Box.name == box_name).with_for_update())
    if box is None:
        box = Box(name=box_name, notes=0)
        session.add(box)
        await session.flush()
    box.notes += 1
    note = Note(id=new_id(), box=box_name, words=words)
    session.add(note)
    await publish(
        session, NoteWritten(occurred_at=clock.now(), box=box_name, number=box.notes, words=words, remark=None)
    )
    return NoteOut(id=note.id, box=box_name, number=box.notes, words=words)


router = Router()


@router.post(NOTES, status_code=201, responses=problems(WordsTaken))
async def write_note(note: NoteIn, actor: MayWrite, session: SessionDep) -> NoteOut:
    """Write a note."""
    return await write(session, note.box, note.words)


@router.get(NOTES)
async def list_notes(actor: MayWrite, session: SessionDep) -> list[str]:
    """Every note's words."""
    return list(await session.scalars(select(Note.words).order_by(Note.id)))


SERVICE = Service(
    parts=Parts(name="sender", publishes=(NoteWritten,)),
    title="Sender",
    description="Notes in boxes.",
    routers=[router],
    constraint_errors={"uq_note_words": WordsTaken},
)


def create_app(settings: ServiceSettings, directory: Directory) -> FastAPI:
    """The toy sender."""
    return build_service(SERVICE, settings, directory)
