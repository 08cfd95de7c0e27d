"""What must hold of lots, holds, and of what others say of the ledger: caps, coupons, merchants, boards."""

from services.points.audit.terms import Check, Slices
from services.points.boards.rules import BEGINNING
from services.points.ledger.terms import coupon_liability

_LOTS = """
WITH moved AS (
 SELECT lot_id, sum(amount) AS amount FROM allocation WHERE lot_id BETWEEN %(first)s AND %(last)s GROUP BY lot_id
),
kept AS (
 SELECT lot_id, sum(hold_lot.amount) AS amount FROM hold_lot JOIN hold ON hold.id = hold_id AND state = 'open'
  WHERE lot_id BETWEEN %(first)s AND %(last)s GROUP BY lot_id
),
told AS (
 SELECT lot.id, lot.account_id, concat_ws('; ',
   CASE WHEN lot.amount + coalesce(moved.amount, 0) <> lot.free + lot.held
    THEN format('%%s with allocations of %%s, but %%s left',
     lot.amount, coalesce(moved.amount, 0), lot.free + lot.held) END,
   CASE WHEN lot.held <> coalesce(kept.amount, 0)
    THEN format('held %%s, but open holds allocated %%s', lot.held, coalesce(kept.amount, 0)) END,
   CASE WHEN transfer.id IS NULL OR account.id IS NULL THEN 'its transfer or its account is not there' END,
   CASE WHEN lot.sequence <> transfer.sequence OR lot.amount > transfer.amount
    THEN 'it is not what its transfer made' END) AS detail
  FROM lot LEFT JOIN transfer ON transfer.id = lot.id LEFT JOIN account ON account.id = lot.account_id
  LEFT JOIN moved ON moved.lot_id = lot.id LEFT JOIN kept ON kept.lot_id = lot.id
  WHERE lot.id BETWEEN %(first)s AND %(last)s
)
SELECT format('lot %%s of account %%s', id, account_id), detail FROM told WHERE detail <> ''
"""

_ALLOCATIONS = """
SELECT format('allocation of lot %%s by %%s', lot_id, cause_id), 'there is no such lot' FROM allocation
 WHERE NOT EXISTS (SELECT FROM lot WHERE lot.id = lot_id)
UNION ALL
SELECT format('allocation of lot %%s by %%s', lot_id, cause_id), 'no transfer, hold or merger caused it' FROM allocation
 WHERE NOT EXISTS (SELECT FROM transfer WHERE transfer.id = cause_id)
  AND NOT EXISTS (SELECT FROM hold WHERE hold.id = cause_id)
  AND NOT EXISTS (SELECT FROM merger WHERE merger.id = cause_id)
"""

_HOLDS = """
WITH allocated AS (
 SELECT hold_id, sum(amount) AS amount FROM hold_lot WHERE hold_id BETWEEN %(first)s AND %(last)s GROUP BY hold_id
),
told AS (
 SELECT hold.id, hold.debit_account_id, concat_ws('; ',
   CASE WHEN coalesce(allocated.amount, 0)
     <> CASE WHEN account.ledger = 'civic' AND account.purpose = 'wallet' THEN hold.amount ELSE 0 END
    THEN format('it allocated %%s of %%s points', coalesce(allocated.amount, 0), hold.amount) END,
   CASE WHEN posted_amount IS DISTINCT FROM transfer.amount
    THEN format('it says that it posted %%s, its transfer %%s',
     coalesce(posted_amount, 0), coalesce(transfer.amount, 0)) END) AS detail
  FROM hold JOIN account ON account.id = debit_account_id LEFT JOIN allocated ON allocated.hold_id = hold.id
  LEFT JOIN transfer ON transfer.reference = 'hold/' || hold.id || '/post' AND transfer.hold_id = hold.id
  WHERE hold.id BETWEEN %(first)s AND %(last)s
)
SELECT format('hold %%s of account %%s', id, debit_account_id), detail FROM told WHERE detail <> ''
"""

_CAPS = """
WITH standing AS (
 SELECT rule_code, cap_scope AS scope, cap_holder_id AS holder_id, cap_period AS period, sum(points) AS points
  FROM award WHERE withdrawn_at IS NULL AND cap_scope IS NOT NULL GROUP BY 1, 2, 3, 4
)
SELECT format('cap of %%s for %%s %%s in %%s', rule_code, scope, holder_id, period),
  format('%%s used, but standing awards of %%s', coalesce(used, 0), coalesce(points, 0))
 FROM cap_use FULL JOIN standing USING (rule_code, scope, holder_id, period)
 WHERE coalesce(used, 0) <> coalesce(points, 0)
"""

_COUPONS = f"""
SELECT 'account ' || id, format('balance %%s, but open coupons of %%s', balance, owed) FROM (
  SELECT CAST('{coupon_liability().id}' AS uuid) AS id,
   coalesce((SELECT balance FROM account WHERE id = '{coupon_liability().id}'), 0) AS balance,
   coalesce((SELECT sum(cost) FROM coupon WHERE state = 'effective'), 0) AS owed
 ) AS liability WHERE balance <> owed
"""  # noqa: S608  # constants

_PAYABLES = """
WITH used AS (
 SELECT merchant_id AS used_by, sum(CASE kind WHEN 'used' THEN cost ELSE -cost END) AS cost
  FROM coupon_event JOIN coupon ON coupon.id = coupon_id WHERE merchant_id IS NOT NULL GROUP BY merchant_id
),
payable AS (
 SELECT account.id, owner_id, balance,
   coalesce((SELECT sum(amount) FROM transfer WHERE debit_account_id = account.id AND code = 'settlement'), 0)
   - coalesce((SELECT sum(amount) FROM transfer WHERE credit_account_id = account.id AND code = 'settlement'), 0)
   AS settled
  FROM account WHERE purpose = 'merchant_payable'
)
SELECT CASE WHEN payable.id IS NULL THEN 'merchant ' || used_by ELSE 'account ' || payable.id END,
  format('balance %%s and settled %%s, but coupons used of %%s',
   coalesce(balance, 0), coalesce(settled, 0), coalesce(cost, 0))
 FROM payable FULL JOIN used ON used_by = owner_id
 WHERE coalesce(balance, 0) + coalesce(settled, 0) <> coalesce(cost, 0)
"""

# What was told last is what a coupon is, and each telling moved the coupon's points the way that it says.
_HAPPENED = f"""
WITH counted AS (SELECT coupon_id, count(*) AS events, max(number) AS last FROM coupon_event GROUP BY coupon_id),
told AS (
 SELECT coupon.id, concat_ws('; ',
   CASE WHEN happened <> coalesce(counted.events, 0) OR happened <> coalesce(counted.last, 0)
    THEN format('%%s things happened to it, but %%s are told', happened, coalesce(counted.events, 0)) END,
   CASE WHEN coupon.state <> CASE WHEN last.kind IN ('issued', 'returned') THEN 'effective' ELSE last.kind END
    THEN format('it is %%s, but last it was %%s', coupon.state, last.kind) END,
   CASE WHEN use_transfer_id IS DISTINCT FROM CASE last.kind WHEN 'used' THEN last.transfer_id END
     OR issue_transfer_id IS DISTINCT FROM first.transfer_id
    THEN 'it names other transfers than what happened to it' END) AS detail
  FROM coupon LEFT JOIN counted ON counted.coupon_id = coupon.id
  LEFT JOIN coupon_event first ON first.coupon_id = coupon.id AND first.number = 1
  LEFT JOIN coupon_event last ON last.coupon_id = coupon.id AND last.number = counted.last
),
posted AS (
 SELECT coupon.id, event.number, concat_ws('; ',
   CASE WHEN transfer.amount <> cost THEN format('%%s moved %%s points of %%s', kind, transfer.amount, cost) END,
   CASE WHEN CASE kind
     WHEN 'issued' THEN transfer.code <> 'redemption' OR credit_account_id <> '{coupon_liability().id}'
     WHEN 'used' THEN transfer.code <> 'use' OR debit_account_id <> '{coupon_liability().id}'
     WHEN 'returned' THEN reverses_id IS DISTINCT FROM (SELECT used.transfer_id FROM coupon_event used
      WHERE used.use_no = event.use_no AND used.kind = 'used')
     WHEN 'refunded' THEN reverses_id IS DISTINCT FROM issue_transfer_id
     ELSE debit_account_id <> '{coupon_liability().id}' OR coalesce(reverses_id <> issue_transfer_id, false) END
    THEN format('its transfer is not that of a coupon that was %%s', kind) END) AS detail
  FROM coupon_event event JOIN coupon ON coupon.id = coupon_id JOIN transfer ON transfer.id = transfer_id
)
SELECT 'coupon ' || id, detail FROM told WHERE detail <> ''
UNION ALL SELECT format('coupon %%s, event %%s', id, number), detail FROM posted WHERE detail <> ''
"""  # noqa: S608  # constants

# Whom a household's awards are credited to, by the mergers that the boards have followed.
_BOARDS = f"""
WITH RECURSIVE mark AS (SELECT sequence AS upto FROM board_mark WHERE ledger = %(ledger)s),
followed AS (
 SELECT old.owner_id AS household_id, new.owner_id AS into_id FROM merger
  JOIN account old ON old.id = old_account_id JOIN account new ON new.id = new_account_id
  JOIN board_heir ON board_heir.ledger = merger.ledger AND household_id = old.owner_id
  WHERE merger.ledger = %(ledger)s AND old.owner_kind = 'household'
),
chain AS (
 SELECT household_id, into_id AS heir_id FROM followed
 UNION SELECT chain.household_id, into_id FROM chain JOIN followed ON followed.household_id = heir_id
),
heir AS (
 SELECT household_id, heir_id FROM chain
  WHERE NOT EXISTS (SELECT FROM followed WHERE followed.household_id = chain.heir_id)
),
credited AS (
 SELECT transfer.posted_at, transfer.amount, award.* FROM mark, award JOIN transfer ON transfer.id = transfer_id
  WHERE ledger = %(ledger)s AND sequence <= upto
 UNION ALL
 SELECT transfer.posted_at, -transfer.amount, award.* FROM mark, transfer JOIN award ON transfer_id = reverses_id
  WHERE ledger = %(ledger)s AND sequence <= upto
 UNION ALL
 SELECT transfer.posted_at, allocation.amount, award.* FROM mark, allocation JOIN transfer ON transfer.id = cause_id
  JOIN award ON transfer_id = lot_id LEFT JOIN transfer undone ON undone.id = transfer.reverses_id
  WHERE %(period)s = 'all' AND transfer.ledger = %(ledger)s AND transfer.sequence <= upto
   AND 'expiry' IN (transfer.code, undone.code)
),
earned AS (
 SELECT subject.kind, subject.id,
   CASE WHEN %(period)s = 'all' THEN DATE '{BEGINNING}'
    ELSE date_trunc(%(period)s, posted_at AT TIME ZONE 'Asia/Shanghai')::date END AS starts_on,
   sum(amount) AS score
  FROM credited LEFT JOIN heir USING (household_id)
  CROSS JOIN LATERAL (VALUES ('person', person_id), ('unit', unit_id), ('community', community_id),
   ('household', coalesce(heir_id, household_id))) AS subject (kind, id)
  WHERE subject.id IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(amount) <> 0
),
shown AS (
 SELECT kind, subject_id AS id, starts_on, score FROM board JOIN board_score ON board_id = board.id
  WHERE ledger = %(ledger)s AND period = %(period)s
)
SELECT format('%%s %%s on the board %%s/%%s from %%s', kind, id, %(ledger)s::text, %(period)s::text, starts_on),
  format('it shows %%s, the ledger %%s', coalesce(shown.score, 0), coalesce(earned.score, 0))
 FROM shown FULL JOIN earned USING (kind, id, starts_on) WHERE shown.score IS DISTINCT FROM earned.score
"""  # noqa: S608  # constants

_HEIRS = """
SELECT 'household ' || old.owner_id, 'it joined another, and the boards have not followed it'
 FROM merger JOIN account old ON old.id = old_account_id JOIN board_mark mark ON mark.ledger = merger.ledger
 WHERE old.owner_kind = 'household' AND merger.sequence < mark.sequence AND NOT EXISTS (
  SELECT FROM board_heir heir WHERE heir.ledger = merger.ledger AND heir.household_id = old.owner_id)
"""

_BUCKETS = """
WITH counted AS (
 SELECT board_id, level, score >> 8 * level AS bucket, count(*) AS subjects
  FROM board_score CROSS JOIN generate_series(0, 3) AS level GROUP BY 1, 2, 3
)
SELECT format('board %%s', board_id), format('%%s in bucket %%s of level %%s, but %%s have such a score',
   coalesce(kept.subjects, 0), bucket, level, coalesce(counted.subjects, 0))
 FROM board_bucket kept FULL JOIN counted USING (board_id, level, bucket)
 WHERE coalesce(kept.subjects, 0) <> coalesce(counted.subjects, 0)
"""

HOLDING_CHECKS = (
    Check("lots are what their allocations left", _LOTS, Slices.LOTS),
    Check("allocations have a lot and a cause", _ALLOCATIONS, Slices.WHOLE),
    Check("holds are what they allocated and posted", _HOLDS, Slices.HOLDS),
    Check("caps are the awards that stand", _CAPS, Slices.WHOLE),
    Check("the coupon liability is that of open coupons", _COUPONS, Slices.WHOLE),
    Check("merchants are owed for the coupons used", _PAYABLES, Slices.WHOLE),
    Check("coupons are what happened to them", _HAPPENED, Slices.WHOLE),
    Check("boards are what the ledger says", _BOARDS, Slices.PERIODS),
    Check("families that joined others are one on the boards", _HEIRS, Slices.WHOLE),
    Check("ranks are counted right", _BUCKETS, Slices.WHOLE),
)
