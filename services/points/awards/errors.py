"""What whoever makes rules is refused."""

from chassis.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class RuleNotFound(NotFound):
    code = "rule_not_found"
    title, title_zh = "There is no such version of a rule", "没有这个版本的规则"


class RuleFaulty(Invalid):
    """The draft would not give every fact of its type a sensible answer; `fields` say where."""

    code = "rule_faulty"
    title, title_zh = "The rule cannot be put in force as it is", "规则草案有误"


class RuleApprovedAlready(Conflict):
    code = "rule_approved_already"
    title, title_zh = "This version was approved already", "该版本已获批准"


class SecondPersonNeeded(Forbidden):
    """Whoever drafted it cannot approve it."""

    code = "second_person_needed"
    title, title_zh = "Another administrator must approve this", "须由另一位管理员批准"


class EffectiveTimeTaken(Conflict):
    code = "effective_time_taken"
    title, title_zh = "Another version takes effect at that very moment", "另一版本在同一时刻生效"


class RulesChanged(Unavailable):
    """A rule for another ledger came into force while facts waited for the lock. Told again, they meet it."""

    code = "rules_changed"
    title, title_zh = "The rules have just changed; try again", "规则刚有变化，请重试"
