"""What a caller may do."""

from __future__ import annotations

from typing import Literal, get_args

Scope = Literal["reports:write", "collections:write", "schedules:write", "events:read", "audit:read", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
