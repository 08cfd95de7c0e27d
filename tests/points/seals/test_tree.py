"""The tree against Certificate Transparency's vectors and RFC 9162 word for word; the offline check against both."""

from collections.abc import Mapping, Sequence

import pytest

from beiyuan.verify import tree as offline
from services.points.seals import tree
from services.points.seals.tree import Node
from tests.points.seals import slow

LEAVES = tuple(
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The test tree of Certificate Transparency's implementations, and its root at each size from 0 to 8."""

INCLUSION = {
    (0, 1): [],
    (0, 2): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"],
    (1, 2): ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
SIZES = range(131)
MOST = slow.data(SIZES[-1])


def stored(data: Sequence[bytes]) -> tuple[Mapping[Node, bytes], list[bytes]]:
    """What is stored of a tree that leaves were appended to, and its root at each size."""
    growing, nodes = tree.Growing(0, []), {}
    roots = [growing.root()]
    for index, item in enumerate(data):
        for level, value in enumerate(growing.append(tree.leaf_hash(item))):
            node = Node(level, index >> level)
            assert node.completed_by == index + 1
            nodes[node] = value
        roots.append(growing.root())
    return nodes, roots


NODES, GROWN = stored(MOST)


def test_roots_are_those_that_certificate_transparency_published() -> None:
    nodes, grown = stored(LEAVES)
    assert [root.hex() for root in grown] == list(ROOTS)
    assert [tree.root(size, nodes).hex() for size in range(9)] == list(ROOTS)
    assert [slow.mth(LEAVES[:size]).hex() for size in range(9)] == list(ROOTS)


@pytest.mark.parametrize(("index", "size"), INCLUSION, ids=str)
def test_inclusion_proofs_are_those_that_certificate_transparency_published(index: int, size: int) -> None:
    nodes, _ = stored(LEAVES[:size])
    assert slow.texts(tree.hashes(tree.inclusion(index, size), nodes)) == INCLUSION[index, size]
    proof = [bytes.fromhex(text) for text in INCLUSION[index, size]]
    leaf = offline.hash_of_leaf(LEAVES[index])
    assert offline.root_by_inclusion(index, size, leaf, proof).hex() == ROOTS[size]


@pytest.mark.parametrize(("old", "new"), CONSISTENCY, ids=str)
def test_consistency_proofs_are_those_that_certificate_transparency_published(old: int, new: int) -> None:
    nodes, _ = stored(LEAVES[:new])
    assert slow.texts(tree.hashes(tree.consistency(old, new), nodes)) == CONSISTENCY[old, new]
    proof = [bytes.fromhex(text) for text in CONSISTENCY[old, new]]
    offline.check_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proof)


def test_every_root_is_the_rfcs_and_goes_on_from_any_size() -> None:
    for size in SIZES:
        assert GROWN[size] == tree.root(size, NODES) == slow.mth(MOST[:size])
        resumed = tree.Growing(size, [NODES[node] for node in tree.edge(size)])
        assert resumed.root() == GROWN[size]
        for item in MOST[size : size + 3]:
            resumed.append(tree.leaf_hash(item))
        assert resumed.root() == GROWN[min(size + 3, len(MOST))]


def test_every_inclusion_proof_is_the_rfcs_and_convinces_the_offline_check() -> None:
    for size in SIZES:
        for index in range(size):
            proof = tree.hashes(tree.inclusion(index, size), NODES)
            assert proof == slow.path(index, MOST[:size])
            leaf = offline.hash_of_leaf(MOST[index])
            assert offline.root_by_inclusion(index, size, leaf, proof) == GROWN[size]


def test_every_consistency_proof_is_the_rfcs_and_convinces_the_offline_check() -> None:
    for new in SIZES:
        assert tree.consistency(0, new) == []
        for old in range(1, new + 1):
            proof = tree.hashes(tree.consistency(old, new), NODES)
            assert proof == slow.proof(old, MOST[:new])
            offline.check_consistency(old, GROWN[old], new, GROWN[new], proof)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 64, 100])
def test_a_proof_of_another_leaf_place_or_tree_convinces_nobody(size: int) -> None:
    for index in range(size):
        leaf, proof = offline.hash_of_leaf(MOST[index]), tree.hashes(tree.inclusion(index, size), NODES)
        other = offline.hash_of_leaf(b"another")
        assert offline.root_by_inclusion(index, size, other, proof) != GROWN[size]
        for place in range(size):
            assert place == index or not includes(place, size, leaf, proof)
        for wrong in (proof[:-1], [*proof, other], [other, *proof], *(mangled(proof))):
            assert wrong == proof or not includes(index, size, leaf, wrong)


@pytest.mark.parametrize("new", [1, 2, 3, 5, 8, 13, 64, 100])
def test_a_proof_between_other_trees_convinces_nobody(new: int) -> None:
    forged = offline.hash_of_leaf(b"another")
    for old in range(1, new + 1):
        proof = tree.hashes(tree.consistency(old, new), NODES)
        for wrong in (proof[:-1], [*proof, forged], [forged, *proof], *mangled(proof)):
            assert wrong == proof or not consistent(old, GROWN[old], new, GROWN[new], wrong)
        assert not consistent(old, forged, new, GROWN[new], proof)
        assert not consistent(old, GROWN[old], new, forged, proof)
        assert not consistent(new + 1, GROWN[old], new, GROWN[new], proof)
    assert not consistent(0, forged, new, GROWN[new], [])
    assert consistent(0, tree.EMPTY_ROOT, new, GROWN[new], [])


def test_a_proof_needs_few_stored_hashes_however_large_the_tree_is() -> None:
    size = 10_000_019
    for index in (0, 1, 4_999_999, 8_388_608, size - 1):
        assert len({node.completed_by for node in tree.needed(tree.inclusion(index, size))}) < 60
    for old in (1, 4_999_999, 8_388_608, size - 1, size):
        assert len(tree.needed(tree.consistency(old, size))) < 60
    assert len(tree.edge(size)) < 25


def test_the_offline_tree_tells_which_stored_hashes_are_not_theirs() -> None:
    growing, checked = tree.Growing(0, []), offline.Tree()
    for index, item in enumerate(MOST[:32]):
        hashes = growing.append(tree.leaf_hash(item))
        said = list(hashes)
        expected = []
        if index in {6, 20}:
            said[0] = offline.hash_of_leaf(b"another")
            expected = [(index + 1, index + 1)]
        if index == 7:
            expected = [(7, 8)]  # the pair over the hash that was said of leaf 7
        if index == 11:
            said[2] = offline.hash_of_leaf(b"another")
            expected = [(9, 12)]
        if index == 15:
            expected = [(9, 16)]
        if index == 21:
            expected = [(21, 22)]
        assert checked.append(tree.leaf_hash(item), said) == expected
    assert checked.root() == growing.root()
    assert checked.append(offline.hash_of_leaf(b"more"), []) == [(33, 33)]


def mangled(proof: Sequence[bytes]) -> list[list[bytes]]:
    """Proofs with one bit changed, or two hashes in each other's place."""
    changed = [[*proof[:i], bytes([proof[i][0] ^ 1]) + proof[i][1:], *proof[i + 1 :]] for i in range(len(proof))]
    swapped = [[*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]] for i in range(len(proof) - 1)]
    return changed + swapped


def includes(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    try:
        return offline.root_by_inclusion(index, size, leaf, proof) == GROWN[size]
    except ValueError:
        return False


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    try:
        offline.check_consistency(old, old_root, new, new_root, proof)
    except ValueError:
        return False
    return True
