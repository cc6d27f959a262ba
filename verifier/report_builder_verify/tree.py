"""The Merkle tree of RFC 6962 over the leaves of the log, and its tiles as C2SP's tlog-tiles lays them out.

A leaf's hash is SHA-256(0x00, leaf), that of two nodes together SHA-256(0x01, left, right). A tile of level L holds up
to 256 hashes in a row, each of a complete subtree of 256**L leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

EMPTY_ROOT = sha256(b"").digest()


class TileMissing(Exception):
    """A tile is not there that stands for events which are not there either."""


class Mismatch(NamedTuple):
    """A tile that does not have the hash which follows from the events at positions `first` to `last`."""

    tile: str
    first: int
    last: int


def tile_path(level: int, index: int, width: int) -> str:
    """The tile's name: its index in groups of three digits, and how many hashes it has where that is not 256."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


class Tree:
    """Grows from left to right to `final_size` leaves, and holds each hash against the tile that has it too.

    `read_tile` answers a tile's bytes by its name, or None. What differs is noted in `mismatch`, the first time; tiles
    that are not there in `missing`.
    """

    def __init__(self, read_tile: Callable[[str], bytes | None], final_size: int) -> None:
        self.size = 0
        self.mismatch: Mismatch | None = None
        self.missing: list[str] = []
        self._read_tile = read_tile
        self._final_size = final_size
        # The complete subtrees that the leaves so far make, by height: one for each 1 in the binary form of `size`.
        self._roots: list[bytes | None] = []
        self._tiles: dict[int, tuple[str, int, bytes | None]] = {}

    def room(self) -> int:
        """How many leaves fit in before the next tile of level 0 begins."""
        return 256 - self.size % 256

    def add_leaves(self, hashes: list[bytes]) -> None:
        """The hashes of the next leaves, at most as many as there is room for."""
        self._grow(0, hashes)

    def skip_to(self, size: int) -> None:
        """Passes over leaves that are not there, by their tiles' hashes. Raises TileMissing."""
        while self.size < size:
            level = 0
            while self.size % 256 ** (level + 1) == 0 and self.size + 256 ** (level + 1) <= size:
                level += 1
            name, at, tile = self._tile_of(level, self.size // 256**level)
            if tile is None:
                raise TileMissing(name)
            self._grow(level, [tile[at : at + 32]])

    def hold_edge(self) -> None:
        """Holds the full tiles at the right edge against the tiles above, which have their hashes: a part of a log has
        them all the same, and where they are full nothing in it needs them."""
        level, hashes = 0, self._final_size
        while hashes >= 256:
            number = hashes // 256 - 1
            if hashes % 256 == 0 and (tile := self._read_tile(tile_path(level, number, 256))):
                _, at, above = self._tile_of(level + 1, number)
                if above and (len(tile) != 256 * 32 or _root_of(tile) != above[at : at + 32]):
                    self._differs(tile_path(level, number, 256), 256 * number, 256 * number + 256, level)
            level, hashes = level + 1, hashes // 256

    def root(self) -> bytes:
        """Of the leaves so far."""
        root = None
        for left in self._roots:
            if left is not None:
                root = left if root is None else sha256(b"\1" + left + root).digest()
        return EMPTY_ROOT if root is None else root

    def _grow(self, level: int, nodes: list[bytes]) -> None:
        """Complete subtrees of 256**level leaves. Two neighbours of one height are one of the next."""
        height, roots = 8 * level, self._roots
        number = self.size >> height
        self.size += len(nodes) << height
        while nodes:
            if height % 8 == 0:
                self._compare(height // 8, number, nodes)
            if height >= len(roots):
                roots += [None] * (height + 1 - len(roots))
            if (left := roots[height]) is not None:
                nodes, number = [left, *nodes], number - 1
            roots[height] = nodes.pop() if len(nodes) % 2 else None
            pairs = iter(nodes)
            nodes = [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            height, number = height + 1, number // 2

    def _compare(self, level: int, number: int, nodes: list[bytes]) -> None:
        """Holds the level's hashes from this number on against their tile."""
        name, at, tile = self._tile_of(level, number)
        if tile is None or tile[at : at + 32 * len(nodes)] == b"".join(nodes):
            return
        while tile[at : at + 32] == nodes[0]:
            nodes, number, at = nodes[1:], number + 1, at + 32
        self._differs(name, number, number + 1, level)

    def _tile_of(self, level: int, number: int) -> tuple[str, int, bytes | None]:
        """The tile that has the level's hash of this number, and where in it; the last one of each level is kept."""
        index, entry = divmod(number, 256)
        known = self._tiles.get(level)
        if known is None or known[1] != index:
            width = min(256, (self._final_size >> 8 * level) - 256 * index)
            name = tile_path(level, index, width)
            tile = self._read_tile(name)
            if tile is None:
                self.missing.append(name)
            elif len(tile) != 32 * width:
                self._differs(name, 256 * index, 256 * index + width, level)
            self._tiles[level] = known = (name, index, tile)
        return known[0], 32 * entry, known[2]

    def _differs(self, tile: str, first: int, last: int, level: int) -> None:
        if self.mismatch is None:
            self.mismatch = Mismatch(tile, first * 256**level + 1, last * 256**level)


def _root_of(tile: bytes) -> bytes:
    """Of the subtree that a full tile's hashes make."""
    while len(tile) > 32:
        tile = b"".join(sha256(b"\1" + tile[at : at + 64]).digest() for at in range(0, len(tile), 64))
    return tile
