"""A toy service that subscribes: it keeps every note that it hears of. What to do with a note is told in its words."""

import asyncio
import os
import signal
from collections import Counter

import structlog
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.client import Directory
from chassis.core.errors import Conflict, Unavailable
from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from chassis.core.runtime import Parts
from chassis.core.settings import ServiceSettings
from chassis.web.app import Service, build_service
from tests.chassis.toy.tables import Taken

log = structlog.get_logger(__name__)
subscriptions = Subscriptions()
moods: Counter[str] = Counter()
"""How many more times each mood lasts: `fail` raises, `away` is busy. Words that begin with a mood meet it."""


class NoteWritten(BaseModel):
    """The receiver's own view of the sender's message. Every field must be there, null or not."""

    box: str
    number: int
    words: str
    remark: str | None


@subscriptions.on("sender.note_written.v1", NoteWritten)
async def take_note(session: AsyncSession, fact: NoteWritten, envelope: Envelope) -> None:
    """Keep the note."""
    mood = fact.words.partition(" ")[0]
    if mood == "refuse":
        raise Conflict("such a note is never taken")
    log.info("note_taken", words=fact.words)
    session.add(Taken(box=fact.box, number=fact.number, words=fact.words))
    await session.flush()
    if mood == "slow":
        await asyncio.sleep(0.2)
    if moods[mood] > 0:
        moods[mood] -= 1
        if mood == "away":
            raise Unavailable
        if mood == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError(f"in the mood to {mood}")


SERVICE = Service(
    parts=Parts(name="receiver", subscriptions=subscriptions.by_type),
    title="Receiver",
    description="Notes heard of.",
    routers=[],
)


def create_app(settings: ServiceSettings, directory: Directory) -> FastAPI:
    """The toy receiver."""
    return build_service(SERVICE, settings, directory)
