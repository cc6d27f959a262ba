"""`report-builder persons`: find persons, hold and erase them, over the API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import IO, Any

import click
import msgspec

from service.api_client import ApiRefused
from service.api_commands import as_json, print_json, reason, send

user_id = click.argument("user_id", metavar="USER")


@click.group()
def persons() -> None:
    """Persons of a running service, for its administrators: REPORT_BUILDER_API_URL names it, by default the one on this
    machine."""


@persons.command("list")
@click.option("--search", help="A part of the name, the e-mail address, or the issuer's name for them.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@as_json
def list_persons(search: str | None, limit: int, as_json: bool) -> None:
    """List persons with their ids."""
    page = send("GET", "/api/persons", search=search, limit=limit)
    if as_json:
        print_json(page)
        return
    for person in page["items"]:
        click.echo("  ".join(filter(None, (person["user_id"], person["name"], person["email"], person["subject"]))))


@persons.command()
@user_id
def show(user_id: str) -> None:
    """Show who a person is, and what was done about them."""
    print_json(send("GET", f"/api/persons/{user_id}"))


@persons.command()
@user_id
@click.option("--reason", required=True, help="Why, for whoever lifts it; it is recorded.")
def hold(user_id: str, reason: str) -> None:
    """Forbid that anything of a person is erased (legal hold)."""
    send("POST", f"/api/persons/{user_id}/place-hold", {"reason": reason})
    click.echo("held: nothing of them is erased until the hold is lifted")


@persons.command()
@user_id
@reason
def release(user_id: str, reason: str | None) -> None:
    """Lift a legal hold."""
    send("POST", f"/api/persons/{user_id}/lift-hold", {"reason": reason})
    click.echo("the hold is lifted")


@persons.command()
@user_id
@reason
@click.option("--yes", is_flag=True, help="Do not ask before.")
@as_json
def erase(user_id: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Erase a person: what they are called, and all that they wrote. Nothing brings it back."""
    if not yes:
        if not sys.stdin.isatty():
            raise click.ClickException("this cannot be undone; repeat it with --yes")
        click.confirm(f"Erase {user_id} for good?", abort=True)
    answer = send("POST", f"/api/persons/{user_id}/erase", {"reason": reason})
    if as_json:
        print_json(answer)
        return
    click.echo(f"erased at position {answer['position']}. It does not reach:")
    for copy in answer["copies"]:
        click.echo(f"- {copy['place']}: {copy['holds']}\n  To do: {copy['remedy']}")


@persons.command()
def erasures() -> None:
    """List who was erased and when, a JSON object a line. Keep it outside of the database, for `erase-again`."""
    for event in _erasures():
        print_json({"user_id": event["entity_id"], "erased_at": event["recorded_at"], "position": event["position"]})


@persons.command("erase-again")
@click.argument("file", type=click.File("rb"), metavar="FILE")
def erase_again(file: IO[bytes]) -> None:
    """Erase whom FILE lists: to be called after a backup from before an erasure was restored.

    FILE is what `erasures` has printed; "-" reads it from standard input. Whom the backup does not know is passed over;
    whom it shows as held is named, and the exit code is 1.
    """
    refused = 0
    for line in filter(None, map(bytes.strip, file)):
        listed = msgspec.json.decode(line)
        why = f"erased on {listed['erased_at']}; erased again after a restore"
        try:
            send("POST", f"/api/persons/{listed['user_id']}/erase", {"reason": why})
        except ApiRefused as error:
            if "404" not in str(error):
                refused += 1
            click.echo(f"{listed['user_id']}: {error}", err=True)
        else:
            click.echo(f"{listed['user_id']}: erased")
    if refused:
        sys.exit(1)


def _erasures() -> Iterator[dict[str, Any]]:
    """The events, oldest first; of all teams, as they are of none."""
    cursor: int | None = None
    while True:
        page = send(
            "GET",
            "/api/audit/activity",
            event_type="person.erased",
            all_teams="true",
            order="oldest",
            limit=200,
            cursor=cursor,
        )
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return
