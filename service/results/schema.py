"""One schema for results that have different ones: columns matched by name, types widened until each value fits.

Pure: schemas in, one schema out. Types are DuckDB's, of the kinds that results are kept in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

WHOLE_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
REALS = ("FLOAT", "DOUBLE")
MOST_DIGITS = 38  # of a DECIMAL
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")


class Column(msgspec.Struct, frozen=True):
    """A column of one result; `within_double`: a whole number in it has an equal floating-point number."""

    name: str
    type: str
    within_double: bool = True

    @property
    def key(self) -> str:
        """What it is matched by: names that differ in case alone are the same."""
        return self.name.lower()


Schema = tuple[Column, ...]


class Unified(msgspec.Struct, frozen=True):
    """A column of all results together: its name, as the newest of them that has it spells it, and a type for all.

    `types` and `spellings` are those that were found, the newest first, and `missing` how many results lack it.
    """

    name: str
    type: str
    types: tuple[str, ...]
    spellings: tuple[str, ...]
    missing: int

    @property
    def drifted(self) -> bool:
        """Whether it is not the same in all of them."""
        return len(self.types) > 1 or len(self.spellings) > 1 or self.missing > 0


def unify(schemas: Sequence[Schema]) -> list[Unified]:
    """The columns of all `schemas`, which come newest first: in the order of the newest, then those that only older
    ones have."""
    found: dict[str, list[Column]] = {}
    for schema in schemas:
        for column in schema:
            found.setdefault(column.key, []).append(column)
    return [
        Unified(
            name=columns[0].name,
            type=common_type(columns),
            types=tuple(dict.fromkeys(column.type for column in columns)),
            spellings=tuple(dict.fromkeys(column.name for column in columns)),
            missing=len(schemas) - len(columns),
        )
        for columns in found.values()
    ]


def common_type(columns: Collection[Column]) -> str:
    """The narrowest type that holds every value of all of them exactly; text, where no other does."""
    types = {column.type for column in columns}
    if len(types) == 1:
        return next(iter(types))
    decimals = [(int(found[1]), int(found[2])) for type in types if (found := _DECIMAL.fullmatch(type))]
    wholes = {type for type in types if type in WHOLE_DIGITS}
    reals = {type for type in types if type in REALS}
    if len(wholes) == len(types):
        return max(wholes, key=WHOLE_DIGITS.__getitem__)
    if len(wholes) + len(decimals) == len(types):
        scale = max(scale for _, scale in decimals)
        before = max([precision - scale for precision, scale in decimals] + [WHOLE_DIGITS[type] for type in wholes])
        return f"DECIMAL({before + scale},{scale})" if before + scale <= MOST_DIGITS else "VARCHAR"
    if len(wholes) + len(reals) == len(types) and all(column.within_double for column in columns):
        return "DOUBLE"
    return "TIMESTAMP" if types == {"DATE", "TIMESTAMP"} else "VARCHAR"
