"""Heads, receipts and proofs as they are shown. Hashes are in base64, as in checkpoints."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from chassis.core.schema import Out
from services.points.ledger.terms import TransferCode
from services.points.seals.proofs import Consistency, Receipt
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName


class HeadOut(Out):
    """A signed head: the first `size` transfers of the ledger hash to `root`. `checkpoint` is the signed note."""

    ledger: LedgerName
    size: int
    root: str
    signed_at: datetime
    checkpoint: str

    @classmethod
    def of(cls, head: SealHead) -> Self:
        """The head as it is shown."""
        return cls(
            ledger=head.ledger,
            size=head.size,
            root=_text(head.root),
            signed_at=head.signed_at,
            checkpoint=head.checkpoint,
        )


class VerifierKeyOut(Out):
    """The public key of one ledger's heads, as verifiers of signed notes take it."""

    ledger: LedgerName
    origin: str
    verifier: str


class VerifierKeysOut(Out):
    """The public keys of all heads."""

    items: list[VerifierKeyOut]


class LeafOut(Out):
    """A transfer exactly as it was sealed: the canonical JSON (RFC 8785) of this object is the leaf."""

    amount: int
    code: TransferCode
    credit_account_id: str
    credit_balance: int
    credit_version: int
    debit_account_id: str
    debit_balance: int
    debit_version: int
    hold_id: str | None
    id: str
    ledger: LedgerName
    occurred_at: str
    posted_at: str
    reference: str
    reverses_id: str | None
    rule_code: str | None
    rule_version: int | None
    sequence: int
    text_hash: str | None
    v: int


class ReceiptOut(Out):
    """回执: the transfer, and what shows that it is the leaf `index` (from 0) of the tree whose head was signed.

    `beiyuan verify` checks it without any service.
    """

    format: Literal["beiyuan-receipt/1"]
    ledger: LedgerName
    index: int
    leaf: LeafOut
    proof: list[str]
    checkpoint: str

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """The receipt as it is shown."""
        return cls(
            format="beiyuan-receipt/1",
            ledger=receipt.head.ledger,
            index=receipt.leaf["sequence"] - 1,
            leaf=LeafOut.model_validate(receipt.leaf),
            proof=_texts(receipt.proof),
            checkpoint=receipt.head.checkpoint,
        )


class ConsistencyOut(Out):
    """Two signed heads of a ledger, and what shows that the second's tree begins with the first's."""

    format: Literal["beiyuan-consistency/1"]
    ledger: LedgerName
    first: str
    second: str
    proof: list[str]

    @classmethod
    def of(cls, shown: Consistency) -> Self:
        """The proof as it is shown."""
        return cls(
            format="beiyuan-consistency/1",
            ledger=shown.first.ledger,
            first=shown.first.checkpoint,
            second=shown.second.checkpoint,
            proof=_texts(shown.proof),
        )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _texts(values: Sequence[bytes]) -> list[str]:
    return [_text(value) for value in values]
