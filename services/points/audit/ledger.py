"""What must hold of accounts and transfers."""

from services.points.audit.terms import Check, Slices

_ENTRIES = """
WITH line AS (
 SELECT debit_account_id AS account_id, sequence, debit_version AS version, -amount AS amount, debit_balance AS balance
  FROM transfer WHERE debit_account_id BETWEEN %(first)s AND %(last)s
 UNION ALL
 SELECT credit_account_id, sequence, credit_version, amount, credit_balance
  FROM transfer WHERE credit_account_id BETWEEN %(first)s AND %(last)s
),
step AS (
 SELECT *, lag(version, 1, 0::bigint) OVER lines AS version_before, lag(balance, 1, 0::bigint) OVER lines AS before
  FROM line WINDOW lines AS (PARTITION BY account_id ORDER BY sequence, version)
),
total AS (
 SELECT account_id, count(*) AS entries, sum(amount) AS amount,
   min(version) FILTER (WHERE version <> version_before + 1) AS gap,
   min(version) FILTER (WHERE balance <> before + amount) AS wrong
  FROM step GROUP BY account_id
)
SELECT 'account ' || account.id, concat_ws('; ',
  CASE WHEN gap IS NOT NULL THEN format('entry %%s does not follow the one before it', gap) END,
  CASE WHEN wrong IS NOT NULL
   THEN format('the balance after entry %%s is not that before it plus its amount', wrong) END,
  CASE WHEN version <> coalesce(entries, 0)
   THEN format('version %%s, but %%s entries', version, coalesce(entries, 0)) END,
  CASE WHEN balance <> coalesce(amount, 0)
   THEN format('balance %%s, but its entries come to %%s', balance, coalesce(amount, 0)) END,
  CASE WHEN balance <> coalesce(last.balance_after, 0)
   THEN format('balance %%s, but its last entry says %%s', balance, coalesce(last.balance_after, 0)) END)
 FROM account LEFT JOIN total ON total.account_id = account.id
 LEFT JOIN LATERAL (
  SELECT balance_after FROM (
   (SELECT sequence, debit_balance AS balance_after FROM transfer WHERE debit_account_id = account.id
     ORDER BY sequence DESC LIMIT 1)
   UNION ALL
   (SELECT sequence, credit_balance FROM transfer WHERE credit_account_id = account.id ORDER BY sequence DESC LIMIT 1)
  ) AS ends ORDER BY sequence DESC LIMIT 1
 ) AS last ON true
 WHERE account.id BETWEEN %(first)s AND %(last)s AND (gap IS NOT NULL OR wrong IS NOT NULL
  OR version <> coalesce(entries, 0) OR balance <> coalesce(amount, 0) OR balance <> coalesce(last.balance_after, 0))
"""

_WALLETS = """
WITH seen AS (
 SELECT account.*, ledger = 'civic' AND purpose = 'wallet' AS keeps_lots FROM account
  WHERE id BETWEEN %(first)s AND %(last)s
),
in_lots AS (
 SELECT account_id, sum(free) AS free, sum(held) AS held FROM lot
  WHERE account_id BETWEEN %(first)s AND %(last)s AND live GROUP BY account_id
),
in_holds AS (
 SELECT debit_account_id, sum(amount) AS held FROM hold
  WHERE debit_account_id BETWEEN %(first)s AND %(last)s AND state = 'open' GROUP BY debit_account_id
),
told AS (
 SELECT seen.id, concat_ws('; ',
   CASE WHEN keeps_lots AND balance <> coalesce(in_lots.free + in_lots.held, 0) - debt
    THEN format('balance %%s, but its lots have %%s and it owes %%s',
     balance, coalesce(in_lots.free + in_lots.held, 0), debt) END,
   CASE WHEN seen.held <> coalesce(in_holds.held, 0)
    THEN format('held %%s, but its open holds have %%s', seen.held, coalesce(in_holds.held, 0)) END,
   CASE WHEN keeps_lots AND seen.held <> coalesce(in_lots.held, 0)
    THEN format('held %%s, but its lots hold %%s', seen.held, coalesce(in_lots.held, 0)) END,
   CASE WHEN debt > 0 AND in_lots.free > 0
    THEN format('owes %%s though %%s of its lots is free', debt, in_lots.free) END,
   CASE WHEN NOT keeps_lots AND (in_lots.account_id IS NOT NULL OR debt <> 0)
    THEN 'it keeps no lots, and yet has lots or owes' END) AS detail
  FROM seen LEFT JOIN in_lots ON in_lots.account_id = seen.id LEFT JOIN in_holds ON in_holds.debit_account_id = seen.id
)
SELECT 'account ' || id, detail FROM told WHERE detail <> ''
"""

_MERGED = """
WITH told AS (
 SELECT old.id, concat_ws('; ',
   CASE WHEN old.merged_into_id IS NOT NULL AND (old.balance, old.held, old.debt) <> (0, 0, 0)
    THEN format('merged, and yet its balance is %%s, %%s held, %%s owed', old.balance, old.held, old.debt) END,
   CASE WHEN stands.merged_into_id IS NOT NULL THEN 'it points at an account that was merged itself' END,
   CASE WHEN (old.merged_into_id IS NULL) <> (merger.id IS NULL) OR stands.ledger <> old.ledger
    THEN 'its pointer and its merger do not agree' END) AS detail
  FROM account old LEFT JOIN account stands ON stands.id = old.merged_into_id
  LEFT JOIN merger ON merger.old_account_id = old.id
  WHERE old.id BETWEEN %(first)s AND %(last)s
)
SELECT 'account ' || id, detail FROM told WHERE detail <> ''
"""

_NUMBERS = """
WITH line AS (
 SELECT transfer.*, lag(sequence, 1, 0::bigint) OVER numbers AS sequence_before, lag(posted_at) OVER numbers AS before
  FROM transfer WHERE ledger = %(ledger)s AND sequence BETWEEN %(first)s - 1 AND %(last)s
  WINDOW numbers AS (ORDER BY sequence)
),
told AS (
 SELECT line.id, line.sequence, concat_ws('; ',
   CASE WHEN sequence <> sequence_before + 1 THEN format('number %%s is missing before it', sequence - 1) END,
   CASE WHEN posted_at < before THEN 'it was posted before the one that it follows' END,
   CASE WHEN debit.id IS NULL OR credit.id IS NULL THEN 'an account of it is not there' END,
   CASE WHEN debit.ledger <> line.ledger OR credit.ledger <> line.ledger THEN 'its accounts are of another ledger' END,
   CASE WHEN award.points <> line.amount
    THEN format('it moved %%s points for an award of %%s', line.amount, award.points) END) AS detail
  FROM line LEFT JOIN account debit ON debit.id = debit_account_id
  LEFT JOIN account credit ON credit.id = credit_account_id
  LEFT JOIN award ON award.transfer_id = line.id
  WHERE sequence >= %(first)s
)
SELECT format('transfer %%s (%%s/%%s)', id, %(ledger)s::text, sequence), detail FROM told WHERE detail <> ''
"""

_LEDGERS = """
WITH told AS (
 SELECT name, concat_ws('; ',
   CASE WHEN total.balance <> 0 THEN format('its accounts come to %%s, not to zero', total.balance) END,
   CASE WHEN last_sequence <> coalesce(last.sequence, 0)
    THEN format('its last number is %%s, that of its last transfer %%s', last_sequence, coalesce(last.sequence, 0)) END,
   CASE WHEN last_posted_at < last.posted_at THEN 'its last transfer was posted after the time that it keeps' END
  ) AS detail
  FROM ledger
  CROSS JOIN LATERAL (SELECT coalesce(sum(balance), 0) AS balance FROM account WHERE account.ledger = name) AS total
  LEFT JOIN LATERAL (
   SELECT sequence, posted_at FROM transfer WHERE transfer.ledger = name ORDER BY sequence DESC LIMIT 1
  ) AS last ON true
)
SELECT 'ledger ' || name, detail FROM told WHERE detail <> ''
"""

_REVERSALS = """
SELECT 'transfer ' || original.id, format('%%s of its %%s points were taken back', reversed.amount, original.amount)
 FROM (SELECT reverses_id, sum(amount) AS amount FROM transfer WHERE reverses_id IS NOT NULL GROUP BY reverses_id)
  AS reversed
 JOIN transfer original ON original.id = reversed.reverses_id
 WHERE reversed.amount > original.amount OR original.code IN ('reversal', 'merger')
"""

_REFERENCES = """
SELECT 'reference ' || reference, format('%%s transfers bear it', count(*)) FROM transfer
 GROUP BY reference HAVING count(*) > 1
UNION ALL
SELECT 'reference ' || reference, format('%%s holds bear it', count(*)) FROM hold GROUP BY reference HAVING count(*) > 1
"""

LEDGER_CHECKS = (
    Check("every ledger comes to zero", _LEDGERS, Slices.WHOLE),
    Check("numbers are dense, times never go back", _NUMBERS, Slices.TRANSFERS),
    Check("balances are those of the entries", _ENTRIES, Slices.ACCOUNTS),
    Check("balances are those of lots, holds and debts", _WALLETS, Slices.ACCOUNTS),
    Check("merged accounts are empty", _MERGED, Slices.ACCOUNTS),
    Check("reversals do not go beyond", _REVERSALS, Slices.WHOLE),
    Check("references are unique", _REFERENCES, Slices.WHOLE),
)
