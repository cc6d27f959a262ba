"""What a process can be, a module for each: it imports what its role needs, so that no other process loads it."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["api", "admission", "projector", "publisher", "scheduler", "tree", "worker"]
ROLES: tuple[Role, ...] = get_args(Role)
