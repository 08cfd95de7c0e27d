"""What must hold of the money that merchants get: bills, statements and payments against the ledger."""

from services.points.audit.terms import Check, Slices

_LINES = """
SELECT 'transfer ' || transfer.id, concat_ws('; ',
  CASE WHEN event.transfer_id IS NULL THEN 'no coupon says that it was used by it' END,
  CASE WHEN transfer.amount <> coupon.cost
   THEN format('it moved %%s points for a coupon of %%s', transfer.amount, coupon.cost) END,
  CASE WHEN account.owner_id <> event.merchant_id THEN 'it was posted to another merchant than where it was used' END)
 FROM transfer JOIN account ON account.id IN (transfer.credit_account_id, transfer.debit_account_id)
   AND account.purpose = 'merchant_payable'
 LEFT JOIN coupon_event event ON event.transfer_id = transfer.id LEFT JOIN coupon ON coupon.id = event.coupon_id
 WHERE transfer.code IN ('use', 'reversal')
  AND (event.transfer_id IS NULL OR transfer.amount <> coupon.cost OR account.owner_id <> event.merchant_id)
"""

_STATEMENTS = """
WITH moved AS (
 SELECT statement.id, 1 AS sign, transfer.amount, posted_at, transfer.id AS use_id FROM merchant_statement statement
  JOIN account ON owner_id = merchant_id AND purpose = 'merchant_payable'
  JOIN transfer ON credit_account_id = account.id AND code = 'use'
   AND sequence >= first_number AND sequence < end_number
 UNION ALL
 SELECT statement.id, -1, transfer.amount, posted_at, reverses_id FROM merchant_statement statement
  JOIN account ON owner_id = merchant_id AND purpose = 'merchant_payable'
  JOIN transfer ON debit_account_id = account.id AND code = 'reversal'
   AND sequence >= first_number AND sequence < end_number
),
total AS (
 SELECT moved.id, count(*) FILTER (WHERE sign > 0) AS uses, count(*) FILTER (WHERE sign < 0) AS returns,
   sum(sign * amount) AS points, sum(sign * face_fen) AS face_fen, sum(sign * payable_fen) AS payable_fen,
   min(posted_at) AS first, max(posted_at) AS last
  FROM moved JOIN coupon_event ON transfer_id = use_id JOIN coupon ON coupon.id = coupon_id GROUP BY moved.id
),
added AS (
 SELECT statement_id, sum(fen) AS fen FROM statement_adjustment WHERE state = 'approved' GROUP BY statement_id
),
line AS (
 SELECT *, lag(end_number) OVER months AS ended, lag(month) OVER months AS month_before FROM merchant_statement
  WINDOW months AS (PARTITION BY merchant_id ORDER BY month)
),
told AS (
 SELECT line.id, concat_ws('; ',
   CASE WHEN (line.uses, line.returns) <> (coalesce(total.uses, 0), coalesce(total.returns, 0))
    THEN format('%%s uses and %%s returns, the ledger has %%s and %%s', line.uses, line.returns,
     coalesce(total.uses, 0), coalesce(total.returns, 0)) END,
   CASE WHEN line.points <> coalesce(total.points, 0)
    THEN format('%%s points, the ledger has %%s', line.points, coalesce(total.points, 0)) END,
   CASE WHEN (line.face_fen, line.payable_fen) <> (coalesce(total.face_fen, 0), coalesce(total.payable_fen, 0))
    THEN format('%%s fen to pay, the coupons come to %%s', line.payable_fen, coalesce(total.payable_fen, 0)) END,
   CASE WHEN adjusted_fen <> coalesce(added.fen, 0)
    THEN format('adjusted by %%s fen, the approved adjustments come to %%s', adjusted_fen, coalesce(added.fen, 0)) END,
   CASE WHEN first_number <> coalesce(ended, 0) OR month <> month_before + interval '1 month'
    THEN 'it does not go on where the one before it ended' END,
   CASE WHEN date_trunc('month', total.first AT TIME ZONE 'Asia/Shanghai') <> month
     OR date_trunc('month', total.last AT TIME ZONE 'Asia/Shanghai') <> month
    THEN 'it has lines of another month' END) AS detail
  FROM line LEFT JOIN total ON total.id = line.id LEFT JOIN added ON statement_id = line.id
)
SELECT 'statement ' || id, detail FROM told WHERE detail <> ''
"""

_PAYMENTS = """
WITH told AS (
 SELECT statement.id, concat_ws('; ',
   CASE WHEN (transfer.id IS NULL) <> (points = 0) OR transfer.amount <> abs(points)
     OR transfer.code <> 'settlement' OR (transfer.debit_account_id = account.id) <> (points > 0)
     OR account.id NOT IN (transfer.debit_account_id, transfer.credit_account_id)
    THEN format('%%s points were settled by a transfer of %%s', points, coalesce(transfer.amount, 0)) END
  ) AS detail
  FROM merchant_statement statement LEFT JOIN transfer ON transfer.id = transfer_id
  LEFT JOIN account ON owner_id = merchant_id AND purpose = 'merchant_payable'
  WHERE statement.state = 'paid'
)
SELECT 'statement ' || id, detail FROM told WHERE detail <> ''
UNION ALL
SELECT 'payment ' || payment.id, format('%%s fen, its statements come to %%s', amount_fen, coalesce(due_fen, 0))
 FROM settlement_payment payment LEFT JOIN (
  SELECT payment_id, sum(payable_fen + adjusted_fen) AS due_fen FROM merchant_statement GROUP BY payment_id
 ) AS due ON payment_id = payment.id WHERE amount_fen <> coalesce(due_fen, 0)
UNION ALL
SELECT 'transfer ' || transfer.id, 'no statement was settled by it' FROM transfer WHERE code = 'settlement'
 AND NOT EXISTS (SELECT FROM merchant_statement WHERE transfer_id = transfer.id)
"""

_SETTLED = """
WITH settled AS (
 SELECT merchant_id, (max(month) FILTER (WHERE state <> 'draft') + interval '1 month')::date AS before,
   max(month) FILTER (WHERE state <> 'draft') > min(month) FILTER (WHERE state = 'draft') AS out_of_order
  FROM merchant_statement GROUP BY merchant_id
)
SELECT 'merchant ' || id, CASE WHEN out_of_order THEN 'a month is settled before an earlier one'
  ELSE format('settled before %%s, its statements say %%s', coalesce(settled_before::text, 'nothing'),
   coalesce(before::text, 'nothing')) END
 FROM merchant LEFT JOIN settled ON merchant_id = id WHERE settled_before IS DISTINCT FROM before OR out_of_order
UNION ALL
SELECT 'transfer ' || back.id, 'it took back a use that was settled' FROM merchant_statement statement
 JOIN account ON owner_id = merchant_id AND purpose = 'merchant_payable'
 JOIN transfer back ON back.debit_account_id = account.id AND back.code = 'reversal' AND back.posted_at > confirmed_at
 JOIN transfer used ON used.id = back.reverses_id AND used.sequence >= first_number AND used.sequence < end_number
"""

SETTLEMENT_CHECKS = (
    Check("every use of a coupon is in the bills", _LINES, Slices.WHOLE),
    Check("statements are what the ledger says", _STATEMENTS, Slices.WHOLE),
    Check("payments are those of statements", _PAYMENTS, Slices.WHOLE),
    Check("what is settled stays as it is", _SETTLED, Slices.WHOLE),
)
