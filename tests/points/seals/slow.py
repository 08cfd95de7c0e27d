"""Merkle trees word for word as RFC 9162, section 2.1, defines them: recursive, over all leaves, in no hurry."""

import hashlib
from collections.abc import Sequence
from functools import cache


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@cache
def mth(d: tuple[bytes, ...]) -> bytes:
    """2.1.1: the Merkle Tree Hash of the leaves' data."""
    n = len(d)
    if n == 0:
        return _sha256(b"")
    if n == 1:
        return _sha256(b"\x00" + d[0])
    k = _k(n)
    return _sha256(b"\x01" + mth(d[:k]) + mth(d[k:]))


def path(m: int, d: tuple[bytes, ...]) -> list[bytes]:
    """2.1.3.1: the inclusion proof of leaf m."""
    n = len(d)
    if n == 1:
        return []
    k = _k(n)
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: tuple[bytes, ...]) -> list[bytes]:
    """2.1.4.1: the consistency proof between the first m leaves and all."""
    return _subproof(m, d, True)


def _subproof(m: int, d: tuple[bytes, ...], b: bool) -> list[bytes]:
    n = len(d)
    if m == n:
        return [] if b else [mth(d)]
    k = _k(n)
    if m <= k:
        return [*_subproof(m, d[:k], b), mth(d[k:])]
    return [*_subproof(m - k, d[k:], False), mth(d[:k])]


def _k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def data(count: int) -> tuple[bytes, ...]:
    """Leaves that all differ."""
    return tuple(f"leaf {index}".encode() for index in range(count))


def texts(hashes: Sequence[bytes]) -> list[str]:
    return [value.hex() for value in hashes]
