"""Merkle trees as RFC 9162, section 2.1, lets a reader check them. Raises ValueError where something does not fit."""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def hash_of_leaf(data: bytes) -> bytes:
    """A leaf's hash."""
    return hashlib.sha256(b"\0" + data).digest()


def hash_of_pair(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that leaves are appended to, of which only the right edge is kept: (number of leaves, hash) each."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes, stored: Sequence[bytes]) -> list[tuple[int, int]]:
        """Append the hash of a leaf, to which these hashes are said to belong: its own, then those of the subtrees
        that it completes. Returns the subtrees (first and last number) for which that is not so.

        The tree goes on with the hashes that are said, so that one fault is told once.
        """
        self.size += 1
        width, wrong = 1, []
        for level in range((self.size & -self.size).bit_length()):
            if level:
                _, left = self._edge.pop()
                leaf = hash_of_pair(left, leaf)
                width *= 2
            if level < len(stored):
                if stored[level] != leaf:
                    wrong.append((self.size - width + 1, self.size))
                leaf = stored[level]
        self._edge.append((width, leaf))
        if len(stored) != level + 1 and not wrong:
            wrong.append((self.size, self.size))
        return wrong

    def root(self) -> bytes:
        """The root hash."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1][1]
        for _, left in self._edge[-2::-1]:
            root = hash_of_pair(left, root)
        return root


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root of a tree of `size` leaves of which `leaf` is that with `index` (from 0): RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    place, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if place & 1 or place == last:
            root = hash_of_pair(sibling, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = hash_of_pair(root, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return root


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That a tree begins with another: RFC 9162, 2.1.4.2. Raises ValueError where that is not shown."""
    if old > new:
        raise ValueError("the first tree is larger than the second")
    if old in (0, new):
        if proof:
            raise ValueError("there is nothing to be proved")
        if old_root != (new_root if old else EMPTY_ROOT):
            raise ValueError("the roots differ")
        return
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not hashes:
        raise ValueError("the proof is empty")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ValueError("the proof is too long")
        if place & 1 or place == last:
            first, second = hash_of_pair(sibling, first), hash_of_pair(sibling, second)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            second = hash_of_pair(second, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    if (first, second) != (old_root, new_root):
        raise ValueError("the second tree does not begin with the first")
