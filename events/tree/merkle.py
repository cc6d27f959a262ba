"""The Merkle tree of RFC 6962 with SHA-256: hashes, which ranges a proof consists of, and checking proofs.

A range is (first leaf, leaf after the last), leaves counted from 0. A node is (height, index): the perfect subtree
over the leaves index * 2**height to (index + 1) * 2**height.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

Range = tuple[int, int]
Node = tuple[int, int]

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """The root over so many hashes of one height, laid end to end; their number is a power of two."""
    while len(hashes) > HASH_BYTES:
        # Neighbours lie side by side, so a pair is one slice.
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def fold(roots: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees of falling sizes, from left to right; EMPTY_ROOT over none."""
    if not roots:
        return EMPTY_ROOT
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


def nodes_of(covered: Range) -> list[Node]:
    """The perfect subtrees that cover a range of a proof, or of a whole tree, from left to right."""
    begin, end = covered
    nodes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        nodes.append((height, begin >> height))
        begin += 1 << height
    return nodes


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots prove that leaf `index` is in the tree of `size` leaves, from the leaf's sibling up."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    begin, end = 0, size
    ranges = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The ranges whose roots prove that the tree of `first` leaves is the beginning of the one of `second`; none
    where either is empty or they are the same."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves is no beginning of one of {second}")
    if first in (0, second):
        return []
    begin, end = 0, second
    ranges = []
    while first < end:
        middle = begin + _split(end - begin)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:
        ranges.append((begin, end))
    return ranges[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that the tree with this root has the leaf of this hash at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    at, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            computed = node_hash(sibling, computed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether the proof shows that the first tree is the beginning of the second (RFC 9162, 2.1.4.2). Of the empty tree
    nothing can be shown, and nothing need be."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if not _are_hashes(first_root, second_root, *proof):
        return False
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    of_first = of_second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            of_first, of_second = node_hash(sibling, of_first), node_hash(sibling, of_second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            of_second = node_hash(of_second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and of_first == first_root and of_second == second_root


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _split(leaves: int) -> int:
    """The largest power of two below the number of leaves, which is at least 2."""
    return 1 << ((leaves - 1).bit_length() - 1)
