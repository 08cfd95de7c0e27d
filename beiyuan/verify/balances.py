"""What a ledger must be in itself: numbers without a gap, every account's entries following one another, sum zero."""

from typing import Any


class Balances:
    """The accounts as the transfers tell of them, one after another. What it keeps grows with the accounts alone."""

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger
        self._sequence = 0
        self._posted_at = ""
        self._accounts: dict[str, tuple[int, int]] = {}
        self._merged: set[str] = set()

    def apply(self, leaf: dict[str, Any]) -> list[str]:
        """Take the next transfer. Returns what is wrong with it."""
        wrong = []
        if leaf["sequence"] != self._sequence + 1:
            wrong.append(f"it stands where {self._sequence + 1} should")
        if leaf["ledger"] != self._ledger:
            wrong.append(f"it belongs to the {leaf['ledger']} ledger")
        if leaf["amount"] <= 0:
            wrong.append("its amount is not above zero")
        if leaf["debit_account_id"] == leaf["credit_account_id"]:
            wrong.append("both its sides are one account")
        if leaf["posted_at"] < self._posted_at:
            wrong.append("it was posted before the one ahead of it")
        if (leaf["code"] == "reversal") != (leaf["reverses_id"] is not None):
            wrong.append("a reversal names what it reverses, and nothing else does")
        if (leaf["rule_code"] is None) != (leaf["rule_version"] is None):
            wrong.append("a rule is named with its version")
        self._sequence, self._posted_at = leaf["sequence"], leaf["posted_at"]
        wrong += self._enter(leaf, "debit", -leaf["amount"]) + self._enter(leaf, "credit", leaf["amount"])
        if leaf["code"] == "merger":
            wrong += self._merge(leaf)
        return wrong

    def finish(self) -> list[str]:
        """What is wrong with the ledger as a whole."""
        total = sum(balance for _, balance in self._accounts.values())
        return [f"the accounts sum to {total}, not to zero"] if total else []

    def __len__(self) -> int:
        return len(self._accounts)

    def _enter(self, leaf: dict[str, Any], side: str, amount: int) -> list[str]:
        account, version, balance = (leaf[f"{side}_{name}"] for name in ("account_id", "version", "balance"))
        before_version, before = self._accounts.get(account, (0, 0))
        wrong = []
        if version != before_version + 1:
            wrong.append(f"its {side} account's version {version} follows {before_version}")
        if balance != before + amount:
            wrong.append(f"its {side} account had {before} and has {balance} after {amount:+}")
        if account in self._merged:
            wrong.append(f"its {side} account had been merged into another")
        self._accounts[account] = version, balance
        return wrong

    def _merge(self, leaf: dict[str, Any]) -> list[str]:
        """An account that joins another hands over all it has, be it points or a debt, and nothing moves on it again.

        Which of the two it is shows in the balances, unless both end with nothing.
        """
        empty = [side for side in ("debit", "credit") if leaf[f"{side}_balance"] == 0]
        if not empty:
            return ["a merger leaves one of its accounts empty"]
        if len(empty) == 1:
            self._merged.add(leaf[f"{empty[0]}_account_id"])
        return []
