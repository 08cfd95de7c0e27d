"""Awards, as far as their caps leave room, and taking them back."""

from services.points.ledger.core import lots
from services.points.ledger.core.commands import Award, CapKey, Reverse, TakeBack
from services.points.ledger.core.journal import Journal
from services.points.ledger.core.posting import account, check_amount, check_reference, post, side, standing
from services.points.ledger.core.reversals import reverse
from services.points.ledger.core.state import Result
from services.points.ledger.errors import TransferNotFound
from services.points.ledger.terms import TransferCode, issuance


def award(journal: Journal, command: Award) -> Result:
    """Issue what is due, or the part of it for which the cap has room; nothing is posted where that is none."""
    check_reference(journal, command.reference)
    granted = max(0, command.due)
    if command.cap is not None:
        cap, limit = command.cap
        used = sum(journal.state.caps.get(key, 0) for key in (cap, *command.beside))
        granted = max(0, min(granted, limit - used))
    if not granted:
        return Result()
    check_amount(granted)
    wallet = standing(journal, command.wallet)
    debit = account(journal, issuance(wallet.ledger))
    posted = post(
        journal,
        debit,
        wallet,
        granted,
        TransferCode.AWARD,
        command.reference,
        command.occurred_at,
        rule=command.rule,
    )
    if wallet.keeps_lots:
        lots.receive(journal, wallet, posted, granted)
    if command.cap is not None:
        _use(journal, command.cap[0], granted)
    return Result(transfer=posted, granted=granted, debit=side(debit), credit=side(wallet))


def take_back(journal: Journal, command: TakeBack) -> Result:
    """Reverse all that is left of an award and make room in its cap. Awards that the cap had cut are not topped up."""
    result = Result()
    if command.transfer_id is not None:
        past = journal.state.transfers.get(command.transfer_id)
        if past is None:
            raise TransferNotFound
        left = past.amount - past.reversed
        if left:  # else somebody took it back by hand before
            done = reverse(journal, Reverse(past.id, command.reference, command.occurred_at))
            result = Result(transfer=done.transfer, granted=left, debit=done.debit, credit=done.credit)
    if command.cap is not None:
        _use(journal, command.cap, -command.granted)
    return result


def _use(journal: Journal, cap: CapKey, amount: int) -> None:
    before = journal.state.caps.get(cap, 0)
    used = max(0, before + amount)
    if used != before:
        journal.set_cap(cap, used)
