"""Notes, the chassis's tables and the job queue's."""

from alembic import op

from chassis.core.migrations import create_chassis_tables, create_job_tables, keep_headers_of_answers
from tests.chassis.toy.tables import SenderBase

revision = "sender_0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    create_job_tables()
    keep_headers_of_answers()
    SenderBase.metadata.create_all(op.get_bind())
