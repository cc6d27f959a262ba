"""The tree's hashes as tiles of 256 (c2sp.org/tlog-tiles): their paths, what they hold, and how they grow.

A tile is named by (level, index). Level 0 holds the hashes of leaves, each further one the roots of the full tiles
below. A partial tile is the beginning of the full one that it becomes, so only the widest is ever kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from events.tree.merkle import HASH_BYTES, Node, Range, fold, nodes_of, perfect_root

WIDTH = 256
HEIGHT = 8
TILE_BYTES = WIDTH * HASH_BYTES
MAX_LEVEL = 63

Tile = tuple[int, int]

_PATH = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TilesIncomplete(Exception):
    """A tile is missing, or narrower than the tree's size says."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """`0/x001/x234/067`, with `.p/…` behind it where the tile is partial."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return f"{level}/{'/'.join(reversed(groups))}" + (f".p/{width}" if width < WIDTH else "")


def parse_tile_path(path: str) -> tuple[int, int, int]:
    """Level, index and width of a path. Raises ValueError where it is not the one way to write it."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"{path!r} is no path of a tile")
    level, index = int(found[1]), int(found[2].replace("x", "").replace("/", "") + found[3])
    width = int(found[4]) if found[4] else WIDTH
    if level > MAX_LEVEL or (found[4] and width >= WIDTH) or tile_path(level, index, width) != path:
        raise ValueError(f"{path!r} is no path of a tile")
    return level, index, width


def width_of(tile: Tile, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves; 0: it does not exist there."""
    level, index = tile
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def tiles_of(ranges: Iterable[Range]) -> set[Tile]:
    """The tiles that the roots of these ranges are computed from."""
    return {_place(node)[0] for covered in ranges for node in nodes_of(covered)}


def root_of(covered: Range, tiles: Mapping[Tile, bytes]) -> bytes:
    """The root over a range of a proof, or over a whole tree. Raises TilesIncomplete."""
    return fold([_hash_of(node, tiles) for node in nodes_of(covered)])


def _place(node: Node) -> tuple[Tile, int, int]:
    """The tile that has a node, and which bytes of it the node is the root of."""
    height, index = node
    level, within = divmod(height, HEIGHT)
    first = index << within
    begin = first % WIDTH * HASH_BYTES
    return (level, first // WIDTH), begin, begin + (HASH_BYTES << within)


def _hash_of(node: Node, tiles: Mapping[Tile, bytes]) -> bytes:
    tile, begin, end = _place(node)
    hashes = tiles.get(tile, b"")[begin:end]
    if len(hashes) != end - begin:
        raise TilesIncomplete(f"tile {tile_path(*tile)} is missing or too narrow")
    return perfect_root(hashes)


class Edge:
    """The right edge of a growing tree: the partial tile of each level. What it costs to grow, or to know the root,
    does not depend on how large the tree is."""

    def __init__(self, size: int = 0, partial: Mapping[Tile, bytes] | None = None) -> None:
        """The edge of a tree of `size` leaves, from the tiles that `partial_tiles` names. Raises TilesIncomplete."""
        self.size = size
        self._levels: list[bytes] = []
        for tile in partial_tiles(size):
            self._levels += [b""] * (tile[0] - len(self._levels))
            hashes = (partial or {}).get(tile, b"")[: width_of(tile, size) * HASH_BYTES]
            if len(hashes) != width_of(tile, size) * HASH_BYTES:
                raise TilesIncomplete(f"tile {tile_path(*tile)} is missing or too narrow")
            self._levels.append(hashes)

    def add(self, leaves: Iterable[bytes]) -> dict[Tile, bytes]:
        """Grows by these leaf hashes; answers the tiles that have changed, each as wide as it is now."""
        changed: dict[Tile, bytes] = {}
        added = b"".join(leaves)
        first, level = self.size, 0
        self.size += len(added) // HASH_BYTES
        while added:
            if level == len(self._levels):
                self._levels.append(b"")
            hashes = self._levels[level] + added
            index = first >> HEIGHT * (level + 1)
            roots = []
            full = len(hashes) // TILE_BYTES
            for number in range(full):
                tile = hashes[number * TILE_BYTES : (number + 1) * TILE_BYTES]
                changed[level, index + number] = tile
                roots.append(perfect_root(tile))
            self._levels[level] = rest = hashes[full * TILE_BYTES :]
            if rest:
                changed[level, index + full] = rest
            added, level = b"".join(roots), level + 1
        return changed

    def root(self) -> bytes:
        """The root of the tree."""
        tiles = dict(zip(partial_tiles(self.size), filter(None, self._levels), strict=True))
        return root_of((0, self.size), tiles)


def partial_tiles(size: int) -> list[Tile]:
    """The partial tiles of a tree of `size` leaves, the lowest level first: all that it takes to grow."""
    levels = range((max(size.bit_length(), 1) + HEIGHT - 1) // HEIGHT)
    return [(level, size >> HEIGHT * (level + 1)) for level in levels if (size >> HEIGHT * level) % WIDTH]
