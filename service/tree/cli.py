"""`report-builder audit` and `restore`, as far as the transparency log goes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import click

from db.pool import OwnConnection
from events.tree.heads import head_of
from events.tree.merkle import leaf_hash, verify_inclusion
from events.tree.notes import NoteError, parse_note, parse_verifier_key
from events.tree.proofs import InclusionProof
from service.api_commands import as_json, print_json, send
from service.bootstrap import database_url
from service.cli.start import start
from service.results.stores import create_store
from service.settings import Settings, read_settings
from service.tree.folder import TreeFolder
from service.tree.keys import rotate as rotate_key
from service.tree.restore import Finding, begin_epoch, examine, known_heads, rebuild_tree, unfit_results


class Unproven(click.ClickException):
    """What was to be shown does not hold."""


@click.command()
@click.argument("position", type=click.IntRange(min=1))
@click.option("--size", type=click.IntRange(min=1), help="The head of so many events; the newest unless given.")
@click.option("--cosigned", is_flag=True, help="The newest head that a witness has signed.")
@click.option("--key", "keys", multiple=True, help="A public key that you trust; may be repeated.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the proof to a .tlog-proof file."
)
@as_json
def prove(
    position: int, size: int | None, cosigned: bool, keys: tuple[str, ...], output: Path | None, as_json: bool
) -> None:
    """Prove that an event is in the log, and check the proof.

    Without --key the head's signature is checked with the key that the service itself names: that shows that the
    service is consistent, not that it is the one that you know.
    """
    chosen = {"size": size, "cosigned": "true" if cosigned else None, "all_teams": "true"}
    answer = send("GET", f"/api/audit/proof/{position}", **chosen)
    note = parse_note(answer["head"])
    trusted = list(keys) or [each["key"] for each in send("GET", "/api/audit/log")["keys"]]
    signers = note.verified(map(parse_verifier_key, trusted))
    head, leaf = head_of(note), answer["leaf"].encode()
    hashes = tuple(base64.b64decode(each) for each in answer["hashes"])
    if not verify_inclusion(position - 1, head.size, leaf_hash(leaf), hashes, head.root):
        raise Unproven(f"the proof does not hold: position {position} is not in the tree of {head.size} events")
    if output is not None:
        output.write_text(str(InclusionProof(position - 1, hashes, note, leaf)))
    if as_json:
        print_json(answer)
        return
    click.echo(f"position {position} is in the log of {head.size} events: {leaf.decode()}")
    click.echo(f"signed by {', '.join(key.text for key in signers)}")
    if not keys:
        click.echo("the key is the one that the service names; give the one that you know with --key", err=True)


@click.group()
def key() -> None:
    """The keys that tree heads are signed with."""


@key.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """List the public keys of a running service's log, the oldest first."""
    log = send("GET", "/api/audit/log")
    if as_json:
        print_json(log["keys"])
        return
    for each in log["keys"]:
        click.echo(f"{each['key']}  since {each['first_used']}")


@key.command()
@click.option("--lost", metavar="KEY", help="This public key's private half is gone: the new key vouches for itself.")
def rotate(lost: str | None) -> None:
    """Sign with a new key from the next head on; heads signed before stay what they are.

    Where the service's tree folder is: on the machine with the role tree, as its user, with its settings. The public
    key that --lost wants is the one that was given to whoever verifies the log.
    """

    async def work(settings: Settings) -> str:
        folder = _folder(settings)
        async with _database(settings) as connection, folder.soon_locked():
            return (await rotate_key(connection, folder, lost=gone)).key

    try:
        gone = None if lost is None else parse_verifier_key(lost)
    except NoteError as error:
        raise click.BadParameter(str(error), param_hint="--lost") from None

    click.echo(start(work(read_settings())))
    click.echo("is the new key, as soon as the role tree runs. Give it to whoever verifies this log.", err=True)


@click.command()
def rebuild() -> None:
    """Build the tree anew from the log, and say whether it is what was signed."""

    async def work(settings: Settings) -> Finding:
        folder = _folder(settings)
        async with _database(settings) as connection, folder.soon_locked():
            with _bar("Building the tree") as progress:
                end = await rebuild_tree(connection, progress)
            return await examine(connection, folder, known_heads(folder, (), _tell), end)

    found = start(work(read_settings()))
    if found.differs_by is not None or not found.whole:
        raise Unproven(_difference(found))
    click.echo(f"the tree of {found.end} events agrees with what was signed, last of {found.last.head.size}")


@click.command()
@click.option("--heads", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file of signed heads that were kept elsewhere; may be repeated.")  # fmt: skip
@click.option("--accept-difference", is_flag=True, help="Go on although the log is not what was signed.")
@click.option("--skip-results", is_flag=True, help="Do not read the results that the log names.")
def restore(heads: tuple[Path, ...], accept_difference: bool, skip_results: bool) -> None:
    """After the database was restored to an earlier moment: begin a new epoch of the log.

    Shows up to where the log is what was signed, records that, and lets the tree be signed again. Run it with the
    service stopped, where its tree folder is, with its settings. Where the log has all that was signed, it changes
    nothing.
    """

    async def work(settings: Settings) -> int:
        folder = _folder(settings)
        async with _database(settings) as connection:
            async with folder.soon_locked():
                with _bar("Building the tree") as progress:
                    end = await rebuild_tree(connection, progress)
                texts = [each.read_text(errors="replace") for each in heads]
                found = await examine(connection, folder, known_heads(folder, texts, _tell), end)
                await _go_on(connection, folder, found, accept_difference)
            if skip_results:
                return 0
            store = create_store(settings)
            store.prepare()
            unfit = 0
            with _bar("Reading results") as progress:
                async for result in unfit_results(connection, store, end, progress):
                    unfit += 1
                    click.echo(f"result {result.checksum} of position {result.position} is {result.problem}", err=True)
            return unfit

    if unfit := start(work(read_settings())):
        raise Unproven(f"{unfit} results are not in the store as the log names them; copy them back from the backup")


async def _go_on(connection: OwnConnection, folder: TreeFolder, found: Finding, accept_difference: bool) -> None:
    if found.whole and found.last.epoch == found.epochs.current:
        click.echo(f"the log of {found.end} events has all that was signed: no epoch begins")
        return
    if found.differs_by is not None and not accept_difference:
        raise Unproven(
            f"{_difference(found)}. Where the service has recorded events since the restore, that is why, and"
            " --accept-difference goes on; else find out first who has altered the log"
        )
    said = await begin_epoch(connection, folder, found)
    lost = found.last.head.size - said.proven_size
    click.echo(f"epoch {said.epoch} begins: the log is what was signed up to position {said.proven_size}")
    click.echo(f"{lost} later positions, up to {found.last.head.size}, were signed before and are gone or given again")


def _difference(found: Finding) -> str:
    if found.differs_by is None:
        return (
            f"the log ends at position {found.end}, and a head of {found.last.head.size} events was signed:"
            " where the database was restored, run `report-builder restore`"
        )
    return (
        f"the log is not what was signed: it is up to position {found.proven_size}, and between"
        f" {found.proven_size + 1} and {found.differs_by} it is not"
    )


def _tell(reason: str) -> None:
    click.echo(f"--heads: {reason}", err=True)


def _folder(settings: Settings) -> TreeFolder:
    return TreeFolder(settings.tree_folder or settings.data_dir / "tree")


@contextlib.asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[OwnConnection]:
    async with database_url(settings) as url:
        connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
        try:
            yield connection
        finally:
            await asyncio.shield(connection.close())


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    bar: Any
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield progress
