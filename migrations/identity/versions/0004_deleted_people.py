"""Points are told of whoever was deleted before they listened: they erase what they keep of them, as for later ones."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from chassis.core.ids import new_id

revision = "identity_0004"
down_revision = "identity_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who was told already, since the receiver was named before this ran, is told again: that changes nothing."""
    told = sa.text(
        "WITH published AS ("
        " INSERT INTO message (id, type, aggregate, occurred_at, data)"
        " VALUES (:id, 'identity.person_deleted.v1', 'person/' || :person, :at,"
        " jsonb_build_object('occurred_at', CAST(:at AS timestamptz), 'person_id', CAST(:person AS text)))"
        " RETURNING sequence, aggregate)"
        " INSERT INTO delivery (message_sequence, subscriber, aggregate, state, attempts, next_attempt_at)"
        " SELECT sequence, 'points', aggregate, 'pending', 0, :at FROM published"
    )
    connection = op.get_bind()
    people = connection.scalars(sa.text("SELECT id FROM person WHERE state = 'deleted' ORDER BY id")).all()
    at = datetime.now(UTC)
    for person_id in people:
        connection.execute(told, {"id": new_id(), "person": str(person_id), "at": at})
