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
   coalesce((SELECT sum(cost) FROM coupon WHERE state NOT IN ('used', 'refunded')), 0) AS owed
 ) AS liability WHERE balance <> owed
"""  # noqa: S608  # constants

_PAYABLES = """
WITH used AS (SELECT used_by, sum(cost) AS cost FROM coupon WHERE state = 'used' GROUP BY used_by),
payable AS (
 SELECT account.id, owner_id, balance, coalesce(
   (SELECT sum(amount) FROM transfer WHERE debit_account_id = account.id AND code = 'settlement'), 0) AS settled
  FROM account WHERE purpose = 'merchant_payable'
)
SELECT CASE WHEN payable.id IS NULL THEN 'merchant ' || used_by ELSE 'account ' || payable.id END,
  format('balance %%s and settled %%s, but coupons used of %%s',
   coalesce(balance, 0), coalesce(settled, 0), coalesce(cost, 0))
 FROM payable FULL JOIN used ON used_by = owner_id
 WHERE coalesce(balance, 0) + coalesce(settled, 0) <> coalesce(cost, 0)
"""

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
    Check("boards are what the ledger says", _BOARDS, Slices.PERIODS),
    Check("families that joined others are one on the boards", _HEIRS, Slices.WHOLE),
    Check("ranks are counted right", _BUCKETS, Slices.WHOLE),
)
