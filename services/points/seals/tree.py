"""The Merkle tree of RFC 9162, section 2.1: what is hashed, and which subtrees a proof consists of.

Stored are the hashes of complete subtrees alone, which never change as the tree grows. Whatever else a proof or a root
needs follows from those. No I/O here: callers ask which nodes are needed, read them, and let them be put together.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()


class Node(NamedTuple):
    """A complete subtree: 2**level leaves, the `position`th such in the tree; both, as leaves, are counted from 0."""

    level: int
    position: int

    @property
    def completed_by(self) -> int:
        """The number of its last leaf, counted from 1: with this leaf the subtree is complete."""
        return (self.position + 1) << self.level


Span = tuple[int, int]
"""Leaves from the first up to the second, exclusive: a subtree, complete or at the tree's right edge."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what stands over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Growing:
    """The right edge of a tree of `size` leaves: its complete subtrees from left to right. Leaves are appended."""

    def __init__(self, size: int, edge: Sequence[bytes]) -> None:
        assert len(edge) == size.bit_count()
        self.size = size
        self._edge = list(edge)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf's hash. Returns it, followed by those of all subtrees that it completes, the smallest first."""
        completed = [leaf]
        ones = self.size
        while ones & 1:
            leaf = node_hash(self._edge.pop(), leaf)
            completed.append(leaf)
            ones >>= 1
        self._edge.append(leaf)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root hash of the tree as it is now."""
        return _over(self._edge) if self._edge else EMPTY_ROOT


def edge(size: int) -> list[Node]:
    """The complete subtrees that a tree of this size consists of, from left to right."""
    return _cover((0, size))


def inclusion(index: int, size: int) -> list[Span]:
    """The path of the leaf `index` (from 0) in a tree of `size` leaves: the lowest sibling first (RFC 9162, 2.1.3)."""
    assert 0 <= index < size
    path: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Span]:
    """What shows that a tree of `new` leaves begins with that of `old` (RFC 9162, 2.1.4). Nothing, where old is 0."""
    assert 0 <= old <= new
    if old == 0:
        return []
    path: list[Span] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start > 0:  # else the old tree is a subtree of the new one, and whoever checks has its root
        path.append((start, end))
    return path[::-1]


def needed(spans: Sequence[Span]) -> set[Node]:
    """The stored nodes that these hashes follow from: of each span a number that grows with the tree's height."""
    return {node for span in spans for node in _cover(span)}


def hashes(spans: Sequence[Span], nodes: Mapping[Node, bytes]) -> list[bytes]:
    """The hash of each span, made of the nodes that it needs."""
    return [_over([nodes[node] for node in _cover(span)]) for span in spans]


def root(size: int, nodes: Mapping[Node, bytes]) -> bytes:
    """The root of a tree of this size, made of the nodes of its edge."""
    return _over([nodes[node] for node in edge(size)]) if size else EMPTY_ROOT


def _split(leaves: int) -> int:
    """The largest power of two below the number of leaves: so many lie to the left."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _cover(span: Span) -> list[Node]:
    """The complete subtrees that a span consists of, from left to right. A span begins where its widest one may."""
    start, end = span
    cover = []
    while start < end:
        level = (end - start).bit_length() - 1
        assert start % (1 << level) == 0
        cover.append(Node(level, start >> level))
        start += 1 << level
    return cover


def _over(subtrees: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees that lie side by side: the narrowest are joined first."""
    *rest, whole = subtrees
    for left in reversed(rest):
        whole = node_hash(left, whole)
    return whole
