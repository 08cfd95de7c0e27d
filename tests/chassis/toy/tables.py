"""The toy services' tables."""

from uuid import UUID

from sqlalchemy import Identity, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.core.db import naming


class SenderBase(DeclarativeBase):
    """Base of the sender's tables."""

    metadata = naming()


class Box(SenderBase):
    """An aggregate: whoever publishes about it holds its lock."""

    __tablename__ = "box"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    notes: Mapped[int]


class Note(SenderBase):
    """Something written; no two have the same words."""

    __tablename__ = "note"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    box: Mapped[str] = mapped_column(String(40))
    words: Mapped[str] = mapped_column(String(500), unique=True)


class ReceiverBase(DeclarativeBase):
    """Base of the receiver's tables."""

    metadata = naming()


class Taken(ReceiverBase):
    """One row for each time that a message took effect; `position` tells the order."""

    __tablename__ = "taken"

    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    box: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    words: Mapped[str] = mapped_column(String(500))
