"""Rules say in CEL what they ask of a fact and what they give for it; two people make one: a draft, an approval."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)

HANDLER = "person_field = 'handler_id', unit_field = 'unit_id', community_field = 'community'"
AS_EXPRESSIONS = {
    "order.claim": ("orders.order_claimed.v1", "in_time", HANDLER),
    "order.meet": ("orders.order_met.v1", 'mode == "on_site"', HANDLER),
    "order.base": ("orders.order_closed.v1", "true", HANDLER),
    "order.double_yes": ("orders.order_closed.v1", 'solved == true && satisfied == "satisfied"', HANDLER),
    "report.accepted": (
        "orders.order_closed.v1",
        "real && reporter_household_id != null",
        "person_field = 'reporter_id', household_field = 'reporter_household_id', community_field = 'community'",
    ),
    "volunteer.hour": (
        "events.attendance_verified.v1",
        "minutes > 0",
        "person_field = 'person_id', household_field = 'household_id'",
    ),
}


def upgrade() -> None:
    write_expressions()
    separate_approvals()
    name_activities()
    say_when_awards_came_and_went()
    say_whose_caps_awards_used()
    forbid_changes()


def write_expressions() -> None:
    """What was code becomes an expression of the same meaning; what was `points` for a `unit` its amount."""
    texts = ("fact_type", "condition", "amount")
    fields = ("person_field", "household_field", "unit_field", "community_field", "campaign_field")
    for name in (*texts, *fields):
        op.add_column("rule_version", sa.Column(name, sa.Text))
    for code, (fact_type, condition, credited) in AS_EXPRESSIONS.items():
        statement = (
            "UPDATE rule_version SET fact_type = :fact_type, condition = :condition, amount ="  # noqa: S608  # ours
            " CASE unit WHEN 'hour' THEN points || ' * minutes / 60' ELSE points::text END,"
            f" {credited} WHERE code = :code"
        )
        op.execute(sa.text(statement).bindparams(fact_type=fact_type, condition=condition, code=code))
    for name in texts:
        op.alter_column("rule_version", name, nullable=False)
    op.execute("UPDATE rule_version SET cap_scope = 'household' WHERE cap_scope = 'owner'")
    op.drop_constraint("ck_rule_version_points", "rule_version")
    for name in ("points", "unit"):
        op.drop_column("rule_version", name)
    op.create_check_constraint(
        "ck_rule_version_campaign", "rule_version", "cap_period <> 'campaign' OR campaign_field IS NOT NULL"
    )


def separate_approvals() -> None:
    """A version is drafted by one person and approved by another; the first ones came with the system."""
    op.add_column("rule_version", sa.Column("drafted_by", sa.Uuid))
    op.add_column("rule_version", sa.Column("drafted_at", INSTANT))
    op.add_column("rule_version", sa.Column("not_before", INSTANT))
    op.execute("UPDATE rule_version SET drafted_at = approved_at, not_before = effective_from")
    op.alter_column("rule_version", "drafted_at", nullable=False)
    op.create_table(
        "rule_approval",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("approved_by", sa.Uuid),
        sa.Column("approved_at", INSTANT, nullable=False),
        sa.Column("effective_from", INSTANT, nullable=False),
        sa.Column("after_position", sa.BigInteger, nullable=False),
        sa.CheckConstraint("effective_from >= approved_at", name="ck_rule_approval_approved_before_effective"),
        sa.ForeignKeyConstraint(
            ["code", "version"], ["rule_version.code", "rule_version.version"], name="fk_rule_approval_code_version"
        ),
        sa.PrimaryKeyConstraint("code", "version", name="pk_rule_approval"),
        sa.UniqueConstraint("code", "effective_from", name="uq_rule_approval_code_effective_from"),
    )
    op.execute(
        "INSERT INTO rule_approval (code, version, approved_at, effective_from, after_position)"
        " SELECT code, version, approved_at, effective_from, 0 FROM rule_version"
    )
    op.drop_constraint("ck_rule_version_approved_before_effective", "rule_version")
    op.drop_constraint("uq_rule_version_code_effective_from", "rule_version")
    for name in ("approved_at", "effective_from"):
        op.drop_column("rule_version", name)


def name_activities() -> None:
    """The activity of an attendance, by which people know what points were for, as a column; facts by their time."""
    op.add_column("fact", sa.Column("activity_id", sa.Uuid))
    op.execute(
        "UPDATE fact SET activity_id = CAST(data ->> 'activity_id' AS uuid)"
        " WHERE subject_kind = 'attendance' AND data ? 'activity_id'"
    )
    op.create_index("ix_fact_type_occurred_at", "fact", ["type", "occurred_at"])


def say_when_awards_came_and_went() -> None:
    """The fact upon whose acceptance an award was granted (its own, or the withdrawal of an earlier one), or went.

    What was earned for one subject under one rule came one after the other, in the order of the awards' ids.
    """
    op.add_column("award", sa.Column("granted_position", sa.BigInteger))
    op.add_column("award", sa.Column("withdrawn_position", sa.BigInteger))
    op.execute(
        "UPDATE award SET withdrawn_position = withdrawal.position FROM fact"
        " JOIN fact AS withdrawal ON withdrawal.withdraws = fact.type AND withdrawal.fact_id = fact.fact_id"
        " WHERE fact.position = award.fact_position AND award.withdrawn_at IS NOT NULL"
    )
    op.execute(
        "UPDATE award SET granted_position = greatest(award.fact_position, coalesce(earlier.withdrawn_position, 0))"
        " FROM (SELECT id, lag(withdrawn_position) OVER (PARTITION BY subject_id, rule_code ORDER BY id)"
        " AS withdrawn_position FROM award) AS earlier WHERE earlier.id = award.id"
    )
    op.alter_column("award", "granted_position", nullable=False)
    op.create_check_constraint("ck_award_withdrawn", "award", "(withdrawn_at IS NULL) = (withdrawn_position IS NULL)")
    op.create_foreign_key("fk_award_granted_position", "award", "fact", ["granted_position"], ["position"])
    op.create_foreign_key("fk_award_withdrawn_position", "award", "fact", ["withdrawn_position"], ["position"])
    later = sa.text("granted_position <> fact_position")
    op.create_index("ix_award_granted_later", "award", ["granted_position"], postgresql_where=later)
    withdrawn = sa.text("withdrawn_position IS NOT NULL")
    op.create_index("ix_award_withdrawn_position", "award", ["withdrawn_position"], postgresql_where=withdrawn)
    op.create_index("ix_award_withdrawn_subject", "award", ["subject_id"], postgresql_where=withdrawn)


def say_whose_caps_awards_used() -> None:
    """Every award says whose cap it counts in, and in which period; what is gone of each cap is their sum."""
    op.add_column("award", sa.Column("cap_scope", WORD))
    op.add_column("award", sa.Column("cap_holder_id", sa.Uuid))
    op.add_column("award", sa.Column("cap_period", sa.Text))
    op.execute(
        "UPDATE award SET cap_scope = rule_version.cap_scope, cap_holder_id ="
        " CASE rule_version.cap_scope WHEN 'person' THEN award.person_id ELSE award.household_id END, cap_period ="
        " to_char(award.occurred_at AT TIME ZONE 'Asia/Shanghai',"
        " CASE rule_version.cap_period WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END)"
        " FROM rule_version WHERE rule_version.code = award.rule_code AND rule_version.version = award.rule_version"
        " AND rule_version.cap_points IS NOT NULL"
    )
    op.create_check_constraint("ck_award_cap", "award", "num_nulls(cap_scope, cap_holder_id, cap_period) IN (0, 3)")
    op.drop_index("ix_award_cap", "award")
    op.drop_index("ix_award_person_cap", "award")
    op.create_index(
        "ix_award_cap",
        "award",
        ["rule_code", "cap_holder_id", "cap_period"],
        postgresql_where=sa.text("cap_holder_id IS NOT NULL"),
    )
    op.execute("DELETE FROM cap_use")
    op.execute(
        "INSERT INTO cap_use (rule_code, scope, holder_id, period, used)"
        " SELECT rule_code, cap_scope, cap_holder_id, cap_period, sum(points) FROM award"
        " WHERE cap_holder_id IS NOT NULL AND withdrawn_at IS NULL"
        " GROUP BY rule_code, cap_scope, cap_holder_id, cap_period"
    )


def forbid_changes() -> None:
    """Append-only: every role that was granted the table loses the right to change or delete its rows."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'rule_approval' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON rule_approval FROM {quote(role)}")
