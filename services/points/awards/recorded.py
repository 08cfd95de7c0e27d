"""What a replay reads: facts, awards and rules as they are recorded, as of a position in the order of acceptance."""

from dataclasses import fields

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from services.points.awards.decisions import STORED
from services.points.awards.rules import Approved, Rule, Rulebook
from services.points.awards.terms import CapScope, Period
from services.points.terms import LedgerName, OwnerKind

Connection = psycopg.Connection[TupleRow]

FACTS_AFTER = """
SELECT position, type, fact_id, data FROM fact WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
"""
WITHDRAWN = """
SELECT told.type, told.fact_id FROM unnest(%b::text[], %b::uuid[]) AS told (type, fact_id)
JOIN fact ON fact.withdraws = told.type AND fact.fact_id = told.fact_id WHERE fact.position < %s
"""
EARLIER = """
SELECT fact.position, fact.type, fact.fact_id, fact.data FROM unnest(%b::uuid[], %b::text[]) AS about (subject_id, type)
JOIN fact ON fact.subject_id = about.subject_id AND fact.type = about.type AND fact.position < %s ORDER BY fact.position
"""
_AS_OF = "award.granted_position < %s AND (award.withdrawn_position IS NULL OR award.withdrawn_position >= %s)"
STANDING = f"""
SELECT {STORED} FROM award JOIN fact ON fact.position = award.fact_position
WHERE award.subject_id = ANY(%b) AND {_AS_OF}
"""  # noqa: S608  # columns of ours
USED = f"""
SELECT award.rule_code, award.cap_scope, award.cap_holder_id, award.cap_period, sum(award.points)::bigint
FROM unnest(%b::text[], %b::text[], %b::uuid[], %b::text[]) AS cap (rule_code, scope, holder_id, period)
JOIN award ON award.rule_code = cap.rule_code AND award.cap_scope = cap.scope
    AND award.cap_holder_id = cap.holder_id AND award.cap_period = cap.period
WHERE {_AS_OF} GROUP BY 1, 2, 3, 4
"""  # noqa: S608  # columns of ours
RECORDED = f"""
SELECT {STORED} FROM award JOIN fact ON fact.position = award.fact_position
WHERE award.granted_position = award.fact_position AND award.fact_position BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT {STORED} FROM award JOIN fact ON fact.position = award.fact_position
WHERE award.granted_position <> award.fact_position AND award.granted_position BETWEEN %(first)s AND %(last)s
"""  # noqa: S608  # columns of ours
GONE = """
SELECT id, fact_position, rule_code, withdrawn_position FROM award WHERE withdrawn_position BETWEEN %s AND %s
"""
_RULES = """
SELECT {rule}, effective_from, after_position FROM rule_version JOIN rule_approval USING (code, version)
"""
TRANSFERS = """
SELECT id, debit_account_id, credit_account_id, amount, code, reference, occurred_at, rule_code, rule_version, sequence,
    (SELECT coalesce(sum(amount), 0)::bigint FROM transfer AS r WHERE r.reverses_id = transfer.id)
FROM transfer WHERE id = ANY(%b)
"""
JOINED_AFTER = "SELECT min(joined_after) FROM household WHERE joined_after > %b"
MERGERS = "SELECT old_account_id, new_account_id, sequence FROM merger WHERE old_account_id = ANY(%b)"


def read_rules(connection: Connection) -> Rulebook:
    """All rules that were ever approved."""
    names = [field.name for field in fields(Rule)]
    found = []
    for *values, effective_from, after_position in connection.execute(
        sql.SQL(_RULES).format(rule=sql.SQL(", ").join(map(sql.Identifier, names)))
    ):
        told = dict(zip(names, values, strict=True))
        told |= {"ledger": LedgerName(told["ledger"]), "owner_kind": OwnerKind(told["owner_kind"])}
        if told["cap_points"] is not None:
            told |= {"cap_scope": CapScope(told["cap_scope"]), "cap_period": Period(told["cap_period"])}
        found.append(Approved(Rule(**told), effective_from, after_position))
    return Rulebook(found)
