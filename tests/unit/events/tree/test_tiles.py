from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tree.merkle import HASH_BYTES, consistency_ranges, inclusion_ranges, verify_consistency, verify_inclusion
from events.tree.tiles import (
    TILE_BYTES,
    WIDTH,
    Edge,
    Tile,
    TilesIncomplete,
    parse_tile_path,
    partial_tiles,
    root_of,
    tile_path,
    tiles_of,
    width_of,
)
from tests.unit.events.tree.test_merkle import leaves_of, plain_root

HASHES = leaves_of(70_000)


def grown(*sizes: int) -> tuple[Edge, dict[Tile, bytes]]:
    """A tree that has grown to each of these sizes, and all of its tiles."""
    edge, tiles = Edge(), {}
    for size in sizes:
        tiles.update(edge.add(HASHES[edge.size : size]))
    return edge, tiles


TILES = grown(70_000)[1]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        ((0, 0), "0/000"),
        ((0, 999), "0/999"),
        ((3, 1000), "3/x001/000"),
        ((0, 1234067), "0/x001/x234/067"),
        ((63, 1_000_000_000), "63/x001/x000/x000/000"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile_path(*tile) == path
    assert parse_tile_path(path) == (*tile, WIDTH)
    assert parse_tile_path(f"{path}.p/255") == (*tile, 255)


@pytest.mark.parametrize(
    "path",
    ["", "0", "0/0", "0/00", "00/000", "64/000", "0/x000/001", "0/001/002", "0/x1/002", "0/1000", "0/000.p/0",
     "0/000.p/256", "0/000.p/01", "0/000.p/", "-1/000", "0/-01", "0/000/", "/0/000", "0/00\uff11", "entries/000",
     "0/000\n"],
)  # fmt: skip
def test_no_other_path_is_read(path: str) -> None:
    with pytest.raises(ValueError, match="no path of a tile"):
        parse_tile_path(path)


def test_a_tree_of_70000_leaves_has_the_tiles_that_the_specification_counts() -> None:
    widths = {
        level: [len(TILES[tile]) // HASH_BYTES for tile in sorted(TILES) if tile[0] == level] for level in (0, 1, 2)
    }
    assert widths == {0: [WIDTH] * 273 + [112], 1: [WIDTH, 17], 2: [1]}
    assert all(len(hashes) == width_of(tile, 70_000) * HASH_BYTES for tile, hashes in TILES.items())
    _, tiles = grown(256)
    assert {tile: len(hashes) for tile, hashes in tiles.items()} == {(0, 0): TILE_BYTES, (1, 0): HASH_BYTES}


@given(st.integers(0, 69_000), st.lists(st.integers(0, 300), max_size=3))
def test_a_tree_is_the_same_however_it_has_grown(start: int, steps: list[int]) -> None:
    edge, tiles = Edge(start, TILES), {}
    for step in steps:
        tiles.update(edge.add(HASHES[edge.size : edge.size + step]))
    assert edge.size == start + sum(steps)
    assert edge.root() == Edge(edge.size, TILES).root() == root_of((0, edge.size), TILES)
    assert all(hashes == TILES[tile][: width_of(tile, edge.size) * HASH_BYTES] for tile, hashes in tiles.items())


@given(st.integers(0, 700))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    edge, _ = grown(size)
    assert edge.root() == plain_root(HASHES[:size])


@given(st.data(), st.integers(1, 70_000))
def test_proofs_are_made_from_the_tiles_that_they_name_and_no_others(data: st.DataObject, size: int) -> None:
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root = Edge(size, TILES).root()
    ranges = inclusion_ranges(index, size)
    some = {tile: TILES[tile] for tile in tiles_of(ranges)}
    assert len(some) <= 6
    assert verify_inclusion(index, size, HASHES[index], [root_of(each, some) for each in ranges], root)
    ranges = consistency_ranges(first, size)
    some = {tile: TILES[tile] for tile in tiles_of([*ranges, (0, first)])}
    proof = [root_of(each, some) for each in ranges]
    assert verify_consistency(first, size, proof, root_of((0, first), some), root)


def test_what_grows_needs_the_partial_tiles_alone() -> None:
    assert partial_tiles(70_000) == [(0, 273), (1, 1), (2, 0)]
    assert partial_tiles(65_536) == [(2, 0)]
    assert partial_tiles(0) == []
    for missing in partial_tiles(70_000):
        with pytest.raises(TilesIncomplete):
            Edge(70_000, {tile: hashes for tile, hashes in TILES.items() if tile != missing})
    with pytest.raises(TilesIncomplete):
        Edge(70_000, {**TILES, (0, 273): TILES[0, 273][:-1]})
    with pytest.raises(TilesIncomplete):
        root_of((0, 256), {})
