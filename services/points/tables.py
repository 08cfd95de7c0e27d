"""The declarative base of this service's tables."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, Text, Uuid
from sqlalchemy.orm import DeclarativeBase

from chassis.core.db import naming
from services.points.terms import LedgerName, OwnerKind


def words(of: type[StrEnum]) -> Enum:
    """An enumeration stored as its words, so that a later version may add some."""
    return Enum(of, native_enum=False, length=32, values_callable=lambda members: [member.value for member in members])


class Base(DeclarativeBase):
    """Base of every table of the points service. Points are 64-bit integers."""

    metadata = naming()
    type_annotation_map: ClassVar = {
        int: BigInteger,
        str: Text,
        UUID: Uuid,
        datetime: DateTime(timezone=True),
        LedgerName: words(LedgerName),
        OwnerKind: words(OwnerKind),
    }
