"""Transfers as they were sealed: which fields a leaf has, and the bytes that are hashed (RFC 8785)."""

import base64
import json
from collections.abc import Sequence
from typing import Any

_WORD, _NUMBER, _MAYBE_WORD, _MAYBE_NUMBER = (str,), (int,), (str, type(None)), (int, type(None))
_FIELDS: dict[str, tuple[type, ...]] = {
    "amount": _NUMBER,
    "code": _WORD,
    "credit_account_id": _WORD,
    "credit_balance": _NUMBER,
    "credit_version": _NUMBER,
    "debit_account_id": _WORD,
    "debit_balance": _NUMBER,
    "debit_version": _NUMBER,
    "hold_id": _MAYBE_WORD,
    "id": _WORD,
    "ledger": _WORD,
    "occurred_at": _WORD,
    "posted_at": _WORD,
    "reference": _WORD,
    "reverses_id": _MAYBE_WORD,
    "rule_code": _MAYBE_WORD,
    "rule_version": _MAYBE_NUMBER,
    "sequence": _NUMBER,
    "text_hash": _MAYBE_WORD,
    "v": _NUMBER,
}
_VERSION = 1
_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def strict_json(text: str | bytes) -> Any:
    """What is written, if it can be read in one way only. Raises ValueError."""
    return json.loads(text, object_pairs_hook=_no_doubles, parse_float=_no_number, parse_constant=_no_number)


def canonical(value: object) -> bytes:
    """The one way in which RFC 8785 writes what consists of objects, lists, strings, integers and nulls."""
    return _WRITER.encode(value).encode()


def check_fields(leaf: object) -> dict[str, Any]:
    """The leaf, if it has a leaf's fields and no others. Raises ValueError."""
    if not isinstance(leaf, dict) or leaf.keys() != _FIELDS.keys():
        raise ValueError("these are not the fields of a transfer")
    for name, types in _FIELDS.items():
        if type(leaf[name]) not in types:
            raise ValueError(f"{name} is not what a transfer has there")
    if leaf["v"] != _VERSION:
        raise ValueError(f"version {leaf['v']} of leaves is not known here")
    return leaf


def hashes_in(values: object) -> Sequence[bytes]:
    """Hashes from base64. Raises ValueError."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("the hashes cannot be read")
    hashes = [base64.b64decode(value, validate=True) for value in values]
    if any(len(value) != 32 for value in hashes):
        raise ValueError("a hash does not have 32 bytes")
    return hashes


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a whole number")
