"""The base of this service's tables."""

from enum import Enum as PythonEnum
from typing import ClassVar

from sqlalchemy import Enum
from sqlalchemy.orm import DeclarativeBase

from chassis.core.db import naming


def _values(members: type[PythonEnum]) -> list[str]:
    return [str(member.value) for member in members]


class Base(DeclarativeBase):
    """All tables of the events schema, but for the chassis's own. Enumerations are stored by value, as text."""

    metadata = naming()
    type_annotation_map: ClassVar = {
        PythonEnum: Enum(PythonEnum, native_enum=False, length=20, values_callable=_values)
    }
