"""`report-builder audit`: what an auditor asks of the log."""

from __future__ import annotations

import click

from service.tree.cli import key, prove, rebuild


@click.group()
def audit() -> None:
    """Prove what the log says, and look after the keys that it is signed with."""


for command in (prove, key, rebuild):
    audit.add_command(command)
