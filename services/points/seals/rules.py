"""What of a transfer is hashed, and how it is written down for that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.points.seals import tree

LEAF_COLUMNS = (
    "amount",
    "code",
    "credit_account_id",
    "credit_balance",
    "credit_version",
    "debit_account_id",
    "debit_balance",
    "debit_version",
    "hold_id",
    "id",
    "ledger",
    "occurred_at",
    "posted_at",
    "reference",
    "reverses_id",
    "rule_code",
    "rule_version",
    "sequence",
    "text_hash",
)
"""Every column of a transfer, in the order of the alphabet. A column that comes later makes a new version of leaves:
the hashes of what was sealed before must not change.
"""
LEAF_VERSION = 1
_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))

Leaf = dict[str, Any]
"""A transfer as it is sealed: LEAF_COLUMNS and `v`, the version of leaves. Ids are in lower case with hyphens, instants
RFC 3339 in UTC with six decimals and a Z, bytes in hex, what is not there null.
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A transfer's number, and its hashes as `tables.Seal` has them."""

    sequence: int
    hashes: bytes


def leaf_of(values: Sequence[str | int | None]) -> Leaf:
    """A leaf from the values of LEAF_COLUMNS, each written as leaves have it."""
    return dict(zip(LEAF_COLUMNS, values, strict=True)) | {"v": LEAF_VERSION}


def encode(leaf: Leaf) -> bytes:
    """The bytes that are hashed: canonical JSON (RFC 8785) in UTF-8: keys in order, no spaces."""
    return _WRITER.encode(leaf).encode()


def leaf_hash(leaf: Leaf) -> bytes:
    """The hash of a transfer in the tree."""
    return tree.leaf_hash(encode(leaf))


def grow(growing: tree.Growing, leaves: Sequence[Leaf]) -> list[Sealed]:
    """Append transfers to a tree. Raises ValueError naming the number that is missing, where there is a gap."""
    sealed = []
    for leaf in leaves:
        if leaf["sequence"] != growing.size + 1:
            raise ValueError(growing.size + 1)
        hashes = growing.append(leaf_hash(leaf))
        sealed.append(Sealed(leaf["sequence"], b"".join(hashes)))
    return sealed
