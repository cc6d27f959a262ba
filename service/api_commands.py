"""What the command line's commands over the API share: options, the request, the answer as JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from service.api_client import ApiClient
from service.settings import read_settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print the API's answer as it is.")
reason = click.option("--reason", help="Why; it is recorded.")


def send(method: str, path: str, body: object = None, **query: Any) -> Any:
    """The answer of the service that the settings name. Raises ApiRefused."""
    return asyncio.run(ApiClient(read_settings()).send(method, path, body, **query))


def carry_out(method: str, path: str, command: str, body: dict[str, Any]) -> Any:
    """The answer to a command about the thing at `path`, once it shows there: the next command sees it."""
    answer = send(method, f"{path}{command}", {name: value for name, value in body.items() if value is not None})
    send("GET", path, min_position=answer["position"])
    return answer


def print_json(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())
