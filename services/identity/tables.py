"""The base of this service's tables."""

from sqlalchemy.orm import DeclarativeBase

from chassis.core.db import naming


class Base(DeclarativeBase):
    """All tables of the identity schema, but for the chassis's own."""

    metadata = naming()
