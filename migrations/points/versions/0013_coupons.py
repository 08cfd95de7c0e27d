"""What may become of a coupon: it is locked for a till, its use is undone, it expires, or staff take it back."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    extend_events()
    date_uses_by_the_ledger()
    say_what_merchants_called_them()
    say_what_happened()
    extend_coupons()


def extend_events() -> None:
    """A return repeats what it undoes; who did it, and under which number."""
    op.add_column("coupon_event", sa.Column("operator_id", sa.Uuid))
    op.add_column("coupon_event", sa.Column("out_request_no", sa.Text))
    op.drop_constraint("uq_coupon_event_use_no", "coupon_event")
    op.create_unique_constraint("uq_coupon_event_use_no_kind", "coupon_event", ["use_no", "kind"])
    op.drop_constraint("ck_coupon_event_use", "coupon_event")
    op.create_check_constraint(
        "ck_coupon_event_use",
        "coupon_event",
        "num_nonnulls(merchant_id, mchid, store_id, use_time, use_no) ="
        " CASE WHEN kind IN ('used', 'returned') THEN 5 ELSE 0 END",
    )
    op.create_index(
        "ix_coupon_event_merchant_id_at",
        "coupon_event",
        ["merchant_id", "at"],
        postgresql_where=sa.text("merchant_id IS NOT NULL"),
    )


def date_uses_by_the_ledger() -> None:
    """A bill's day is that of the posting, also where a clock was a little behind it."""
    op.execute(
        "UPDATE coupon_event SET at = transfer.posted_at FROM transfer"
        " WHERE transfer.id = transfer_id AND kind = 'used' AND at <> transfer.posted_at"
    )
    op.execute(
        "UPDATE coupon SET used_at = event.at FROM coupon_event event"
        " WHERE event.use_no = coupon.use_no AND used_at <> event.at"
    )


def say_what_merchants_called_them() -> None:
    """The numbers of their requests, from the answers that are kept."""
    op.execute(
        "UPDATE coupon_event event SET out_request_no = answered.out_request_no FROM ("
        " SELECT out_request_no, merchant_id, convert_from(answer, 'UTF8')::jsonb ->> 'use_no' AS use_no"
        "  FROM merchant_request WHERE operation = 'use' AND status = 200 AND NOT sandbox) answered"
        " WHERE answered.use_no = event.use_no AND answered.merchant_id = event.merchant_id"
    )


def say_what_happened() -> None:
    """How much has happened to each coupon, and by which transfers it was issued and is used."""
    op.add_column("coupon", sa.Column("happened", sa.BigInteger))
    op.add_column("coupon", sa.Column("issue_transfer_id", sa.Uuid))
    op.add_column("coupon", sa.Column("use_transfer_id", sa.Uuid))
    op.execute(
        "UPDATE coupon SET happened = events.number FROM"
        " (SELECT coupon_id, max(number) AS number FROM coupon_event GROUP BY coupon_id) events"
        " WHERE events.coupon_id = coupon.id"
    )
    op.execute(
        "UPDATE coupon SET issue_transfer_id = event.transfer_id FROM coupon_event event"
        " WHERE event.coupon_id = coupon.id AND event.kind = 'issued'"
    )
    op.execute(
        "UPDATE coupon SET use_transfer_id = event.transfer_id FROM coupon_event event"
        " WHERE event.use_no = coupon.use_no AND event.kind = 'used'"
    )
    for name in ("happened", "issue_transfer_id"):
        op.alter_column("coupon", name, nullable=False)


def extend_coupons() -> None:
    """Locks, and what must hold of all that."""
    op.add_column("coupon", sa.Column("locked_until", INSTANT))
    op.add_column("coupon", sa.Column("locked_by", sa.Uuid))
    op.add_column("coupon", sa.Column("locked_store_id", sa.Text))
    for name, condition in (
        ("state", "state <> 'locked'"),
        ("happened", "happened > 0"),
        (
            "lock",
            "num_nonnulls(locked_until, locked_by, locked_store_id) = CASE WHEN locked_until IS NULL THEN 0 ELSE 3 END"
            " AND (locked_until IS NULL OR state = 'effective')",
        ),
        ("use_transfer_id", "(use_transfer_id IS NULL) = (state <> 'used')"),
    ):
        op.create_check_constraint(f"ck_coupon_{name}", "coupon", condition)
    op.create_index("ix_coupon_open", "coupon", ["expires_at", "id"], postgresql_where=sa.text("state = 'effective'"))
