"""Lots that expire, holds, debts and mergers; a transfer tells both its sides, and entries are a view of them."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)
APPEND_ONLY = ("allocation", "hold_lot", "merger")
BEIJING = ZoneInfo("Asia/Shanghai")
CHUNK = 5000


def upgrade() -> None:
    let_ledgers_tell_the_time()
    let_transfers_tell_both_sides()
    let_accounts_hold_and_owe()
    create_lots()
    create_holds()
    create_mergers()
    create_texts()
    create_cap_uses()
    create_expiry_notices()
    mergers = tell_past_mergers()
    give_wallets_their_lots(mergers)
    forbid_changes()


def let_ledgers_tell_the_time() -> None:
    """When each ledger's last transfer was posted."""
    op.add_column("ledger", sa.Column("last_posted_at", INSTANT))
    op.execute(
        "UPDATE ledger SET last_posted_at = coalesce("
        "(SELECT max(posted_at) FROM transfer WHERE transfer.ledger = ledger.name), '2024-01-01T00:00:00+08:00')"
    )
    op.alter_column("ledger", "last_posted_at", nullable=False)


def let_transfers_tell_both_sides() -> None:
    """Versions and balances move from the entries into the transfers; what was a table becomes a view."""
    for side in ("debit", "credit"):
        op.add_column("transfer", sa.Column(f"{side}_version", sa.BigInteger))
        op.add_column("transfer", sa.Column(f"{side}_balance", sa.BigInteger))
        op.execute(
            f"UPDATE transfer SET {side}_version = entry.version, {side}_balance = entry.balance_after FROM entry"  # noqa: S608  # words of ours
            f" WHERE entry.transfer_id = transfer.id AND entry.account_id = transfer.{side}_account_id"
        )
        op.alter_column("transfer", f"{side}_version", nullable=False)
        op.alter_column("transfer", f"{side}_balance", nullable=False)
        op.create_index(f"ix_transfer_{side}", "transfer", [f"{side}_account_id", "sequence"])
    op.create_index("ix_transfer_posted_at", "transfer", ["ledger", "posted_at", "sequence"])
    op.drop_table("entry")
    for column in ("ledger", "debit_account_id", "credit_account_id"):  # half of what the server spent on a posting
        op.drop_constraint(f"fk_transfer_{column}", "transfer")
    op.execute(
        "CREATE VIEW entry AS"
        " SELECT debit_account_id AS account_id, debit_version AS version, id AS transfer_id, ledger, sequence,"
        " posted_at, -amount AS amount, debit_balance AS balance_after FROM transfer"
        " UNION ALL"
        " SELECT credit_account_id, credit_version, id, ledger, sequence,"
        " posted_at, amount, credit_balance FROM transfer"
    )


def let_accounts_hold_and_owe() -> None:
    """What open holds keep of an account, and what it owes."""
    for name in ("held", "debt"):
        op.add_column("account", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        op.alter_column("account", name, server_default=None)
        op.create_check_constraint(f"ck_account_{name}", "account", f"{name} >= 0")
    op.execute("ALTER TABLE account SET (fillfactor = 70)")


def create_lots() -> None:
    """What credits left to spend, and what took from it."""
    op.create_table(
        "lot",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("free", sa.BigInteger, nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.CheckConstraint("free >= 0 AND held >= 0 AND free + held <= amount AND amount > 0", name="ck_lot_amounts"),
        sa.Column("live", sa.Boolean, sa.Computed("free + held > 0", persisted=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lot"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_lot_spending",
        "lot",
        ["account_id", "expires_at", "sequence"],
        postgresql_where=sa.text("live"),
    )
    op.create_index("ix_lot_expiry", "lot", ["expires_at", "id"], postgresql_where=sa.text("live"))
    op.create_table(
        "allocation",
        sa.Column("cause_id", sa.Uuid, nullable=False),
        sa.Column("lot_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_allocation_amount"),
        sa.PrimaryKeyConstraint("cause_id", "lot_id", name="pk_allocation"),
    )
    op.create_index("ix_allocation_lot_id", "allocation", ["lot_id"])


def create_holds() -> None:
    """Points kept for a purpose, and which lots they were taken from."""
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("debit_account_id", sa.Uuid, nullable=False),
        sa.Column("credit_account_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("code", WORD, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("held_at", INSTANT, nullable=False),
        sa.Column("lapses_at", INSTANT, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("posted_amount", sa.BigInteger),
        sa.CheckConstraint("amount > 0", name="ck_hold_amount"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="ck_hold_closed"),
        sa.CheckConstraint("(state = 'posted') = (posted_amount IS NOT NULL)", name="ck_hold_posted"),
        sa.CheckConstraint("posted_amount BETWEEN 1 AND amount", name="ck_hold_posted_amount"),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_hold_ledger"),
        sa.ForeignKeyConstraint(["debit_account_id"], ["account.id"], name="fk_hold_debit_account_id"),
        sa.ForeignKeyConstraint(["credit_account_id"], ["account.id"], name="fk_hold_credit_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
        sa.UniqueConstraint("reference", name="uq_hold_reference"),
    )
    op.create_index("ix_hold_lapse", "hold", ["lapses_at", "id"], postgresql_where=sa.text("state = 'open'"))
    op.create_index("ix_hold_open", "hold", ["debit_account_id"], postgresql_where=sa.text("state = 'open'"))
    op.create_table(
        "hold_lot",
        sa.Column("hold_id", sa.Uuid, nullable=False),
        sa.Column("lot_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_hold_lot_amount"),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name="fk_hold_lot_hold_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_hold_lot_lot_id"),
        sa.PrimaryKeyConstraint("hold_id", "lot_id", name="pk_hold_lot"),
    )
    op.create_index("ix_hold_lot_lot_id", "hold_lot", ["lot_id"])
    op.add_column("transfer", sa.Column("hold_id", sa.Uuid))
    op.create_foreign_key("fk_transfer_hold_id", "transfer", "hold", ["hold_id"], ["id"])


def create_mergers() -> None:
    """Which account took which one's place, and when."""
    op.create_table(
        "merger",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("old_account_id", sa.Uuid, nullable=False),
        sa.Column("new_account_id", sa.Uuid, nullable=False),
        sa.Column("transfer_id", sa.Uuid),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("merged_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_merger_ledger"),
        sa.ForeignKeyConstraint(["old_account_id"], ["account.id"], name="fk_merger_old_account_id"),
        sa.ForeignKeyConstraint(["new_account_id"], ["account.id"], name="fk_merger_new_account_id"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_merger_transfer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_merger"),
        sa.UniqueConstraint("old_account_id", name="uq_merger_old_account_id"),
        sa.UniqueConstraint("reference", name="uq_merger_reference"),
    )


def create_texts() -> None:
    """Why, in words, where somebody said so."""
    op.add_column("transfer", sa.Column("text_hash", sa.LargeBinary))
    op.create_table(
        "transfer_text",
        sa.Column("transfer_id", sa.Uuid, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_transfer_text_transfer_id"),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_transfer_text"),
    )


def create_cap_uses() -> None:
    """How much of each cap is gone."""
    op.create_table(
        "cap_use",
        sa.Column("rule_code", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("holder_id", sa.Uuid, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.CheckConstraint("used >= 0", name="ck_cap_use_used"),
        sa.PrimaryKeyConstraint("rule_code", "scope", "holder_id", "period", name="pk_cap_use"),
    )


def create_expiry_notices() -> None:
    """Which wallets were told that points of theirs expire."""
    op.create_table(
        "expiry_notice",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("told_at", INSTANT, nullable=False),
        sa.CheckConstraint("points > 0", name="ck_expiry_notice_points"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_expiry_notice_account_id"),
        sa.PrimaryKeyConstraint("account_id", "expires_at", name="pk_expiry_notice"),
    )


@dataclass
class Merged:
    """A merger of before: `sequence` is the last number of the civic ledger when it was complete."""

    sequence: int
    old_account_id: UUID
    new_account_id: UUID
    reference: str
    merged_at: datetime
    transfer_id: UUID | None = None
    occurred_at: datetime | None = None
    id: UUID = field(default_factory=uuid4)


def tell_past_mergers() -> list[Merged]:
    """A row for each merger of the past, in their order."""
    bind = op.get_bind()
    posted = [Merged(**row) for row in bind.execute(sa.text(POSTED_MERGERS)).mappings()]
    unposted = [dict(row) for row in bind.execute(sa.text(UNPOSTED_MERGERS)).mappings()]
    mergers = sorted([*posted, *_with_successors(unposted, posted)], key=lambda merger: merger.sequence)
    columns = [
        *("id", "ledger", "sequence", "old_account_id", "new_account_id", "transfer_id", "reference"),
        *("occurred_at", "merged_at"),
    ]
    _insert("merger", columns, [vars(merger) | {"ledger": "civic"} for merger in mergers])
    return mergers


# Its reference named the household that was dissolved, so it tells which of its accounts was merged into the other.
POSTED_MERGERS = """
SELECT t.sequence, old.id AS old_account_id,
    CASE WHEN old.id = t.debit_account_id THEN t.credit_account_id ELSE t.debit_account_id END AS new_account_id,
    t.reference, t.posted_at AS merged_at, t.id AS transfer_id, t.occurred_at
FROM transfer t JOIN account old ON old.id IN (t.debit_account_id, t.credit_account_id)
WHERE t.code = 'merger' AND old.owner_id::text = split_part(t.reference, '/', 2)
"""
# Where nothing was on the account there was no transfer, and nobody wrote down when it was merged. It is taken to have
# been right after the last transfer that touched the account, or when it was opened, which changes no balance: nothing
# was on it, and nothing came to it any more. `joined` is the wallet of the household that it was dissolved into.
UNPOSTED_MERGERS = """
SELECT coalesce(last.sequence, 0) AS sequence, old.id AS old_account_id, old.merged_into_id, joined.id AS joined_id,
    'merger/' || old.owner_id || coalesce('/' || household.version, '') AS reference,
    coalesce(last.posted_at, old.opened_at) AS merged_at
FROM account old
LEFT JOIN household ON household.id = old.owner_id
LEFT JOIN account joined ON joined.ledger = old.ledger AND joined.owner_kind = old.owner_kind
    AND joined.purpose = old.purpose AND joined.owner_id = household.dissolved_into
LEFT JOIN LATERAL (
    SELECT sequence, posted_at FROM transfer WHERE old.id IN (debit_account_id, credit_account_id)
    ORDER BY sequence DESC LIMIT 1
) last ON true
WHERE old.merged_into_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM transfer t WHERE t.code = 'merger' AND old.id IN (t.debit_account_id, t.credit_account_id)
        AND old.owner_id::text = split_part(t.reference, '/', 2))
ORDER BY 1, old.opened_at, old.id
"""


def _with_successors(unposted: list[dict[str, Any]], posted: list[Merged]) -> Iterator[Merged]:
    """Each with the account that stood then: of the household that it joined, or of the one in whose place that was."""
    into = {merger.old_account_id: merger for merger in posted}
    for row in unposted:
        final, successor = row.pop("merged_into_id"), row.pop("joined_id")
        while successor in into and into[successor].sequence <= row["sequence"]:
            successor = into[successor].new_account_id
        merger = Merged(new_account_id=successor or final, occurred_at=row["merged_at"], **row)
        into[merger.old_account_id] = merger
        yield merger


def give_wallets_their_lots(mergers: list[Merged]) -> None:
    """Lots, allocations and debts, as they would be if the wallets had always kept lots.

    Nothing expired before: what was spent after its day was spent nevertheless, and what is overdue now expires by the
    next run. Raises RuntimeError if what is left in a wallet's lots is not its balance.
    """
    wallets = Wallets()
    waiting = iter([*mergers, None])
    merger = next(waiting)
    transfers = sa.text(WALLETS_TRANSFERS).execution_options(yield_per=CHUNK)
    for row in op.get_bind().execute(transfers).mappings():
        while merger and merger.sequence < row["sequence"]:
            wallets.merge(merger)
            merger = next(waiting)
        wallets.post(row)
    while merger:
        wallets.merge(merger)
        merger = next(waiting)
    wallets.write()


WALLETS_TRANSFERS = """
SELECT t.id, t.sequence, t.amount, t.code, t.posted_at, t.reverses_id,
    CASE WHEN debit.purpose = 'wallet' THEN t.debit_account_id END AS spender,
    CASE WHEN credit.purpose = 'wallet' THEN t.credit_account_id END AS earner
FROM transfer t
JOIN account debit ON debit.id = t.debit_account_id JOIN account credit ON credit.id = t.credit_account_id
WHERE t.ledger = 'civic' AND 'wallet' IN (debit.purpose, credit.purpose) AND t.code <> 'merger'
ORDER BY t.sequence
"""
UNLIKE = """
SELECT a.id FROM account a LEFT JOIN lot l ON l.account_id = a.id
WHERE a.ledger = 'civic' AND a.purpose = 'wallet'
GROUP BY a.id HAVING a.balance <> coalesce(sum(l.free), 0) - a.debt LIMIT 1
"""


@dataclass
class Lot:
    """A lot as it fills and empties. In the order of spending."""

    id: UUID
    sequence: int
    account_id: UUID
    expires_at: datetime
    amount: int
    free: int
    held: int = 0

    def __lt__(self, other: "Lot") -> bool:
        return (self.expires_at, self.sequence) < (other.expires_at, other.sequence)


class Wallets:
    """All civic wallets while their transfers are posted to them again."""

    def __init__(self) -> None:
        self.lots: dict[UUID, Lot] = {}
        self.debts: defaultdict[UUID, int] = defaultdict(int)
        self.allocations: defaultdict[tuple[UUID, UUID], int] = defaultdict(int)
        self.queues: defaultdict[UUID, list[Lot]] = defaultdict(list)
        """Of each wallet the lots with anything free, the first to expire first; and some that are used up."""
        self.taken: defaultdict[UUID, dict[UUID, int]] = defaultdict(dict)
        """Of each transfer that spent, what is not given back: by lot."""

    def post(self, row: Any) -> None:
        """A transfer between a wallet and another account, or another wallet."""
        if row["spender"]:
            if row["reverses_id"]:
                self.take_back(row)
            elif self.take(row["id"], row["spender"], row["amount"], spent=True):
                raise RuntimeError(f"transfer {row['id']} spent more than there was")
        if row["earner"]:
            rest = row["amount"] - self.pay(row["earner"], row["amount"])
            if row["reverses_id"]:
                rest = self.give_back(row, rest)
            if rest:
                self.add_lot(row, rest)

    def add_lot(self, row: Any, amount: int) -> None:
        """What a credit leaves to spend, until the end of the next calendar year."""
        expires_at = datetime(row["posted_at"].astimezone(BEIJING).year + 2, 1, 1, tzinfo=BEIJING)
        lot = Lot(row["id"], row["sequence"], row["earner"], expires_at, amount, amount)
        self.lots[lot.id] = lot
        heapq.heappush(self.queues[lot.account_id], lot)

    def take(self, cause_id: UUID, wallet: UUID, amount: int, *, spent: bool = False) -> int:
        """Take from a wallet, the first to expire first; how much was not there."""
        queue = self.queues[wallet]
        while amount and queue:
            lot = queue[0]
            part = min(lot.free, amount)
            amount -= part
            self.take_from(lot, cause_id, part)
            if spent and part:
                self.taken[cause_id][lot.id] = part
            if not lot.free:
                heapq.heappop(queue)
        return amount

    def take_from(self, lot: Lot, cause_id: UUID, amount: int) -> None:
        lot.free -= amount
        self.allocations[cause_id, lot.id] -= amount

    def take_back(self, row: Any) -> None:
        """A credit is reversed: the free rest of its lot, then what is free of others, and the rest is owed."""
        amount, lot = row["amount"], self.lots.get(row["reverses_id"])
        if lot:
            part = min(lot.free, amount)
            self.take_from(lot, row["id"], part)
            amount -= part
        self.debts[row["spender"]] += self.take(row["id"], row["spender"], amount)

    def pay(self, wallet: UUID, amount: int) -> int:
        """Pay a debt out of what comes in; how much that was."""
        paid = min(self.debts[wallet], amount)
        self.debts[wallet] -= paid
        return paid

    def give_back(self, row: Any, amount: int) -> int:
        """A spend is reversed: to the lots that it took from, the last to expire first; how much is over."""
        taken = self.taken[row["reverses_id"]]
        for lot in sorted((self.lots[lot_id] for lot_id in taken), reverse=True):
            part = min(taken[lot.id], amount)
            taken[lot.id] -= part
            amount -= part
            self.take_from(lot, row["id"], -part)
            lot.account_id = row["earner"]
            heapq.heappush(self.queues[row["earner"]], lot)
        return amount

    def merge(self, merger: Merged) -> None:
        """All lots and debts go to the other wallet, and what either owed is paid."""
        old, new = merger.old_account_id, merger.new_account_id
        for lot in self.lots_of(old):
            lot.account_id = new
            heapq.heappush(self.queues[new], lot)
        self.queues.pop(old, None)
        debt = self.debts.pop(old, 0) + self.debts[new]
        self.debts[new] = self.take(merger.id, new, debt)

    def lots_of(self, wallet: UUID) -> list[Lot]:
        return [lot for lot in self.queues[wallet] if lot.free and lot.account_id == wallet]

    def write(self) -> None:
        """All rows, and the debts on their accounts."""
        columns = ["id", "sequence", "account_id", "expires_at", "amount", "free", "held"]
        _insert("lot", columns, map(vars, self.lots.values()))
        allocations = (
            {"cause_id": cause_id, "lot_id": lot_id, "amount": amount}
            for (cause_id, lot_id), amount in self.allocations.items()
            if amount
        )
        _insert("allocation", ["cause_id", "lot_id", "amount"], allocations)
        debts = [{"id": id_, "debt": debt} for id_, debt in self.debts.items() if debt]
        if debts:
            op.get_bind().execute(sa.text("UPDATE account SET debt = :debt WHERE id = :id"), debts)
        if unlike := op.get_bind().scalar(sa.text(UNLIKE)):
            raise RuntimeError(f"the lots of account {unlike} do not come to its balance")


def _insert(table: str, columns: list[str], rows: Iterable[dict[str, Any]]) -> None:
    target = sa.table(table, *map(sa.column, columns))
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        op.get_bind().execute(sa.insert(target), [{name: row[name] for name in columns} for row in chunk])


def forbid_changes() -> None:
    """Append-only: every role that was granted these tables loses the right to change or delete their rows."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'allocation' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        for table in APPEND_ONLY:
            op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {quote(table)} FROM {quote(role)}")
        op.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON entry FROM {quote(role)}")
