"""Can a draft be put in force? It is tried on a sample of its fact type, so that no real fact finds it wanting."""

from collections.abc import Iterator
from itertools import product
from typing import Any
from uuid import UUID

from chassis.core.errors import FieldError
from services.points.awards.expressions import Expression, ExpressionError, amount, condition, fields_of
from services.points.awards.facts import FACTS, ToldFact
from services.points.awards.rules import MAX_AWARD, Rule, meet
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import Period
from services.points.terms import OwnerKind

EARNING = {name: kind for name, kind in FACTS.items() if kind.withdraws is None}
"""The fact types that may earn something: those that take nothing back."""


def faults(rule: RuleVersion) -> list[FieldError]:
    """What is wrong with a draft, by the field of the request; nothing, where it can be put in force."""
    kind = EARNING.get(rule.fact_type)
    if kind is None:
        return [FieldError("body.fact_type", f"is none of {', '.join(sorted(EARNING))}")]
    found = [*_field_faults(rule, kind), *_expression_faults(rule, kind)]
    return found or _sample_faults(rule, kind)


def samples(kind: type[ToldFact]) -> Iterator[ToldFact]:
    """Facts of a type with every combination of what may be null, true or false, one word or another, least or most."""
    fields = fields_of(kind)
    for values in product(*(field.values for field in fields.values())):
        yield kind.model_construct(**dict(zip(fields, values, strict=True)))


def _field_faults(rule: RuleVersion, kind: type[ToldFact]) -> Iterator[FieldError]:
    named = {
        "body.credited.person": rule.person_field,
        "body.credited.household": rule.household_field,
        "body.credited.unit": rule.unit_field,
        "body.credited.community": rule.community_field,
        "body.cap.campaign": rule.campaign_field,
    }
    fields = fields_of(kind)
    ids = sorted(name for name, field in fields.items() if field.kind is UUID)
    for place, name in named.items():
        if name is not None and name not in ids:
            yield FieldError(place, f"is none of {', '.join(ids)}")
    needed = {f"body.credited.{rule.owner_kind}": f"is needed: the points go to the wallet of the {rule.owner_kind}"}
    if rule.owner_kind not in {OwnerKind.PERSON, OwnerKind.HOUSEHOLD}:
        yield FieldError("body.owner_kind", "is neither person nor household")
    if rule.cap_scope is not None:
        needed.setdefault(f"body.credited.{rule.cap_scope}", f"is needed: the cap counts for each {rule.cap_scope}")
    if rule.cap_period is Period.CAMPAIGN:
        needed["body.cap.campaign"] = "is needed: the cap counts in each campaign"
    for place, reason in needed.items():
        if named.get(place) is None:
            yield FieldError(place, reason)


def _expression_faults(rule: RuleVersion, kind: type[ToldFact]) -> Iterator[FieldError]:
    for name, compiled, source in (("condition", condition, rule.condition), ("amount", amount, rule.amount)):
        try:
            compiled(kind, source)
        except ExpressionError as error:
            yield FieldError(f"body.{name}", str(error))


def _sample_faults(rule: RuleVersion, kind: type[ToldFact]) -> list[FieldError]:
    """The first sample of which an expression makes nothing that it should, or that names nobody to pay."""
    plain = Rule.of(rule)
    asks, gives = condition(kind, rule.condition), amount(kind, rule.amount)
    for fact in samples(kind):
        place = "body.condition"
        try:
            if not asks.of(fact):
                continue
            place = "body.amount"
            _check_points(gives, fact)
            place = "body.credited"
            meet(plain, fact)
        except ExpressionError as error:
            return [FieldError(place, f"{error}; so it is for a fact with {_described(fact)}")]
    return []


def _check_points(gives: Expression[int], fact: ToldFact) -> None:
    points = gives.of(fact)
    if not 0 < points <= MAX_AWARD:
        raise ExpressionError(f"gives {points} points, not between 1 and {MAX_AWARD}")


def _described(fact: ToldFact) -> str:
    """What tells this sample from others."""
    told: list[str] = []
    for name, field in fields_of(type(fact)).items():
        if len(field.values) > 1:
            value: Any = getattr(fact, name)
            told.append(
                f"{name} = {'null' if value is None else str(value).lower() if field.kind is bool else value!r}"
            )
    return ", ".join(told)
