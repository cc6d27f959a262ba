from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tree.merkle import (
    EMPTY_ROOT,
    Range,
    consistency_ranges,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

VECTORS = msgspec.json.decode((Path(__file__).parent / "vectors" / "merkle.json").read_bytes())

# The reference tree of RFC 6962's implementations: Google's certificate-transparency, Trillian, transparency-dev.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(f"leaf {number}".encode()) for number in range(count)]


def plain_root(hashes: Sequence[bytes]) -> bytes:
    """The root by the words of RFC 6962, section 2.1, and nothing else."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY_ROOT
    middle = half(len(hashes))
    return node_hash(plain_root(hashes[:middle]), plain_root(hashes[middle:]))


def half(leaves: int) -> int:
    """The largest power of two below the number."""
    middle = 1
    while middle * 2 < leaves:
        middle *= 2
    return middle


def roots(hashes: Sequence[bytes], ranges: list[Range]) -> list[bytes]:
    return [plain_root(hashes[begin:end]) for begin, end in ranges]


def decoded(case: dict[str, Any], *names: str) -> list[Any]:
    proof = [base64.b64decode(text) for text in case["proof"] or ()]
    return [proof, *(base64.b64decode(case[name] or "") for name in names)]


def test_the_reference_tree_has_its_published_roots() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    assert [plain_root(hashes[:size]).hex() for size in range(len(hashes) + 1)] == ROOTS
    assert fold([]).hex() == ROOTS[0]


@pytest.mark.parametrize("name", VECTORS["inclusion"])
def test_a_published_proof_of_inclusion_is_taken_or_refused_as_it_should_be(name: str) -> None:
    case = VECTORS["inclusion"][name]
    proof, leaf, root = decoded(case, "leafHash", "root")
    assert verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root) is not case["wantErr"]


@pytest.mark.parametrize("name", VECTORS["consistency"])
def test_a_published_proof_of_consistency_is_taken_or_refused_as_it_should_be(name: str) -> None:
    case = VECTORS["consistency"][name]
    proof, first, second = decoded(case, "root1", "root2")
    assert verify_consistency(case["size1"], case["size2"], proof, first, second) is not case["wantErr"]


def altered(proof: list[bytes], chance: random.Random) -> list[list[bytes]]:
    """The proof with each hash changed by a bit, left out, sent twice; and one more in front and behind."""
    changed = [list(proof) for _ in range(3 * len(proof))]
    for at in range(len(proof)):
        hashed = bytearray(proof[at])
        hashed[chance.randrange(32)] ^= 1 << chance.randrange(8)
        changed[3 * at][at] = bytes(hashed)
        del changed[3 * at + 1][at]
        changed[3 * at + 2].insert(at, proof[at])
    other = chance.randbytes(32)
    return [*changed, [other, *proof], [*proof, other]]


@given(st.data(), st.integers(1, 600), st.randoms(use_true_random=False))
def test_every_proof_of_inclusion_holds_and_no_altered_one_does(
    data: st.DataObject, size: int, chance: random.Random
) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves_of(size)
    root, proof = plain_root(hashes), roots(hashes, inclusion_ranges(index, size))
    holds: Callable[..., bool] = verify_inclusion
    assert holds(index, size, hashes[index], proof, root)
    assert not any(holds(index, size, hashes[index], wrong, root) for wrong in altered(proof, chance))
    assert not holds(index, size, leaf_hash(b"another"), proof, root)
    assert not holds(index, size, hashes[index], proof, leaf_hash(b"another"))
    assert not any(
        holds(other, size, hashes[index], proof, root) for other in {index ^ 1, index + 1, -1, size, 0} - {index}
    )


@given(st.data(), st.integers(1, 600), st.randoms(use_true_random=False))
def test_every_proof_of_consistency_holds_and_no_altered_one_does(
    data: st.DataObject, second: int, chance: random.Random
) -> None:
    first = data.draw(st.integers(1, second))
    hashes = leaves_of(second)
    before, after = plain_root(hashes[:first]), plain_root(hashes)
    proof = roots(hashes, consistency_ranges(first, second))
    holds: Callable[..., bool] = verify_consistency
    assert holds(first, second, proof, before, after)
    assert not any(holds(first, second, wrong, before, after) for wrong in altered(proof, chance))
    if first < second:
        assert not holds(first, second, proof, after, before)
        assert not holds(first, second, proof, before, before)
    forked = [*hashes[: first - 1], leaf_hash(b"another")]
    assert not holds(first, second, proof, plain_root(forked), after)


@pytest.mark.parametrize(("first", "second"), [(2, 1), (-1, 3), (0, -1)])
def test_no_tree_is_the_beginning_of_a_smaller_one(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="no beginning"):
        consistency_ranges(first, second)
    assert not verify_consistency(first, second, [], EMPTY_ROOT, EMPTY_ROOT)


@pytest.fixture(scope="module")
def theirs() -> pymerkle.InmemoryTree:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(300):
        tree.append_entry(f"leaf {number}".encode())
    return tree


@given(st.data(), st.integers(1, 300))
def test_another_implementation_takes_our_proofs(theirs: pymerkle.InmemoryTree, data: st.DataObject, size: int) -> None:
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    hashes = leaves_of(size)
    root, before = plain_root(hashes), plain_root(hashes[:first])
    assert theirs.get_root(size) == root
    # Theirs has the leaf's hash in the path, and says which side each hash is on; it checks that against its own.
    inclusion = theirs.prove_inclusion(index + 1, size)
    inclusion.path = [hashes[index], *roots(hashes, inclusion_ranges(index, size))]
    pymerkle.verify_inclusion(hashes[index], root, inclusion, index=index + 1, size=size)
    # Its proofs of consistency have more hashes than those of the RFC; what they prove is the same of our roots.
    proof = theirs.prove_consistency(first, size)
    pymerkle.verify_consistency(before, root, proof, prior_size=first, later_size=size)


def defined_inclusion(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(hashes) == 1:
        return []
    middle = half(len(hashes))
    if index < middle:
        return [*defined_inclusion(index, hashes[:middle]), plain_root(hashes[middle:])]
    return [*defined_inclusion(index - middle, hashes[middle:]), plain_root(hashes[:middle])]


def defined_consistency(first: int, hashes: Sequence[bytes], complete: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if first == len(hashes):
        return [] if complete else [plain_root(hashes)]
    middle = half(len(hashes))
    if first <= middle:
        return [*defined_consistency(first, hashes[:middle], complete), plain_root(hashes[middle:])]
    return [*defined_consistency(first - middle, hashes[middle:], False), plain_root(hashes[:middle])]


@given(st.data(), st.integers(1, 200))
def test_our_proofs_have_the_hashes_that_the_definitions_name(data: st.DataObject, size: int) -> None:
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    hashes = leaves_of(size)
    assert roots(hashes, inclusion_ranges(index, size)) == defined_inclusion(index, hashes)
    assert roots(hashes, consistency_ranges(first, size)) == defined_consistency(first, hashes)
