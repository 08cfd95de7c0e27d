"""What an audit looks at, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum


class Slices(StrEnum):
    """How a check is cut into statements that each look at a bounded number of rows, in the order of an index.

    Each gives a statement its `first` and `last`; that of transfers gives it the `ledger` too.
    """

    ACCOUNTS = "accounts"
    TRANSFERS = "transfers"
    LOTS = "lots"
    HOLDS = "holds"
    PERIODS = "periods"  # of the boards: `ledger` and `period`
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. Its statement answers with what is wrong: (what it is wrong with, how)."""

    name: str
    sql: str
    slices: Slices


@dataclass(frozen=True, slots=True)
class Finding:
    """That something is off: `subject` names the account, transfer, lot or whatever it is."""

    check: str
    subject: str
    detail: str
