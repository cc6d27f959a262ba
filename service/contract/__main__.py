"""`python -m service.contract` prints the OpenAPI document, from which the types of the web interface are made."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import msgspec

from service.app import create_app
from service.contract.openapi import openapi
from service.endpoints import Endpoint


async def _endpoints() -> list[Endpoint]:
    """Those of the application; what stands behind them is never asked."""
    return [route for route in create_app(Mock()).routes if isinstance(route, Endpoint)]


if __name__ == "__main__":
    print(msgspec.json.encode(openapi(asyncio.run(_endpoints()), anonymous=True)).decode())
