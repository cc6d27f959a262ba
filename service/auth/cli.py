"""`report-builder token`: a bearer token signed with the service's own key."""

from __future__ import annotations

import re
import time
from typing import get_args

import click

from service.auth.own_key import OwnKey, own_claims, own_key_file
from service.auth.scopes import SCOPES, Scope
from service.settings import SettingsError, read_settings


@click.command()
@click.option("--subject", default="local", show_default=True, help="Whose it is; another name is another user.")
@click.option("--scopes", default=",".join(get_args(Scope)), show_default=True, help="Comma-separated.")
@click.option("--team", "teams", multiple=True, default=["local"], show_default=True, help="May be repeated.")
@click.option("--expires", default="12h", show_default=True, metavar="90m|12h|30d", help="For how long it is valid.")
def token(subject: str, scopes: str, teams: tuple[str, ...], expires: str) -> None:
    """Print a bearer token for a program, signed with the service's own key.

    The service takes it on loopback without an issuer, and elsewhere with REPORT_BUILDER_AUTH_OWN_KEYS=true.
    """
    named = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if strangers := [scope for scope in named if scope not in SCOPES]:
        message = f"no such scope: {', '.join(strangers)}; there are {', '.join(get_args(Scope))}"
        raise click.BadParameter(message, param_hint="--scopes")
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", expires)
    if found is None:
        raise click.BadParameter(f"{expires!r} is not a time such as 90m, 12h or 30d", param_hint="--expires")
    settings = read_settings()
    if settings.auth_issuer is not None and not settings.auth_own_keys:
        raise SettingsError(
            "tokens come from REPORT_BUILDER_AUTH_ISSUER; with REPORT_BUILDER_AUTH_OWN_KEYS=true the service takes"
            " its own too"
        )
    now = int(time.time())
    claims = own_claims(
        subject=subject,
        teams=teams,
        team_claim=settings.auth_team_claim,
        scopes=named,
        audience=settings.auth_audience,
        issued_at=now,
        expires_at=now + int(found[1]) * {"m": 60, "h": 3600, "d": 86400}[found[2]],
    )
    click.echo(OwnKey(own_key_file(settings.data_dir)).sign(claims))
