"""The verifier's tree against the service's: they share no code, and must agree."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from events.tree.tiles import Edge, tile_path, width_of
from report_builder_verify.tree import EMPTY_ROOT, TileMissing, Tree
from service.audit.export import Part, tiles_of_part

SIZE = 256 * 256 * 2 + 256 * 3 + 77
LEAVES = [sha256(b"%d" % number).digest() for number in range(SIZE)]
EDGE = Edge()
TILES = EDGE.add(LEAVES)


def tree_of(size: int, part: Part | None = None, read: set[str] | None = None) -> Tree:
    """Reads the tiles of a tree of so many leaves, or of those that a part of the log is exported with; `read` takes
    the names of those that it has found."""
    wanted = TILES.keys() if part is None else tiles_of_part(part)
    tiles = {
        f"tile/{tile_path(*tile, width)}": TILES[tile][: 32 * width]
        for tile in wanted
        if (width := width_of(tile, size))
    }

    def read_tile(name: str) -> bytes | None:
        if read is not None and name in tiles:
            read.add(name)
        return tiles.get(name)

    return Tree(read_tile, size)


def add(tree: Tree, last: int) -> None:
    while tree.size < last:
        tree.add_leaves(LEAVES[tree.size : min(last, tree.size + tree.room())])


def test_the_root_is_the_services_whether_leaves_are_there_or_passed_over() -> None:
    assert Tree(lambda name: None, 0).root() == EMPTY_ROOT == Edge().root()
    whole = tree_of(SIZE)
    add(whole, SIZE)
    assert (whole.root(), whole.mismatch, whole.missing) == (EDGE.root(), None, [])
    passed = tree_of(SIZE)
    passed.skip_to(SIZE)
    assert passed.root() == EDGE.root()


def test_the_exported_tiles_tie_any_part_to_the_root() -> None:
    random = Random(3)
    for _ in range(80):
        size = random.choice([SIZE, random.randrange(1, SIZE), random.randrange(1, 700), 65541, 65536, 512, 256])
        first = random.choice([random.randrange(1, size + 1), (size - 1) // 256 * 256 + 1])
        last = min(size, first + random.choice([0, 1, 255, 256, 3000]))
        part, read = Part(size, first, last, None), set[str]()
        tree = tree_of(size, part, read)
        tree.skip_to(first - 1)
        add(tree, last)
        tree.skip_to(size)
        tree.hold_edge()
        edge = tree_of(size)
        edge.skip_to(size)
        assert (tree.root(), tree.mismatch) == (edge.root(), None)
        assert read == {f"tile/{tile_path(*tile, width_of(tile, size))}" for tile in tiles_of_part(part)}


def test_a_leaf_that_is_not_the_tiles_is_found_at_its_place() -> None:
    for position in (1, 256, 257, 65536, 65537, SIZE):
        tree = tree_of(SIZE)
        tree.skip_to(position - 1)
        tree.add_leaves([bytes(32)])
        assert tree.mismatch is not None
        assert (tree.mismatch.first, tree.mismatch.last) == (position, position)


def test_without_a_tile_nothing_is_passed_over() -> None:
    tree = Tree(lambda name: None, SIZE)
    with pytest.raises(TileMissing):
        tree.skip_to(SIZE)
    assert tree.missing == ["tile/2/000.p/2"]
