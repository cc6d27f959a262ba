"""`report-builder-verify BUNDLE --key PUBLIC_KEY`: exit code 0 sound, 1 tampered, 2 usage, 3 incomplete."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from report_builder_verify.bundle import Bundle, Damaged, NotABundle, Unfinished
from report_builder_verify.checks import Findings, Wanted, verify
from report_builder_verify.notes import NotReadable, PublicKey, TreeHead, key_ring, read_heads, read_key, signed_by_log

EXIT_CODES = {"sound": 0, "tampered": 1, "incomplete": 3}
USAGE = 2

DESCRIPTION = """\
Verifies an exported audit log offline. Exit code 0: sound; 1: tampered with; 2: this command was not used rightly;
3: nothing is wrong, but not all is there that it would take to say that the log is sound.
"""
EPILOG = """\
Keys and heads must come to you on another way than the bundle. Whoever has the log's signing key can write another
history and sign it, and whoever brings back an older state of the log shows a true, but shorter one: with a tree head
that you kept yourself (--head) both are found, without one neither is.
"""


class Unusable(Exception):
    """An argument that cannot be used; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)  # a wrong usage ends here, with 2
    try:
        keys = [key for text in options.key for key in _keys(text)]
        kept = [head for name in options.head for head in _kept_heads(Path(name), keys)]
        wanted = Wanted(options.from_position, options.to_position, options.team)
        findings = _verdict(options.bundle, keys, kept, wanted)
    except (Unusable, NotABundle, OSError) as error:
        _complain(str(error))
        return USAGE
    print(json.dumps(asdict(findings)) if options.json else _in_words(findings, bool(kept)))
    return EXIT_CODES[findings.outcome]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("report-builder-verify", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("bundle", type=Path, help="the exported file")
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        help="the log's public key (NAME+HASH+BASE64), or a file of such keys; again for further ones, and for those of"
        " witnesses",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="FILE",
        help="a file with tree heads that you kept",
    )
    parser.add_argument(
        "--from",
        dest="from_position",
        type=_position,
        metavar="N",
        help="you asked for a part that begins with this position",
    )
    parser.add_argument(
        "--to", dest="to_position", type=_position, metavar="N", help="you asked for a part that ends with it"
    )
    parser.add_argument("--team", help="you asked for the bodies of this team alone")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


def _position(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,18}", text):
        raise argparse.ArgumentTypeError("positions begin with 1")
    return int(text)


def _verdict(path: Path, keys: Sequence[PublicKey], kept: Sequence[TreeHead], wanted: Wanted) -> Findings:
    try:
        with Bundle(path) as bundle:
            return verify(
                bundle, keys, kept, wanted, _progress(bundle.last) if sys.stderr.isatty() else lambda at: None
            )
    except Unfinished as error:
        return Findings("incomplete", str(error))
    except Damaged as error:
        return Findings("tampered", f"the bundle is damaged: {error}")


def _keys(text: str) -> list[PublicKey]:
    """The keys that an argument names: by itself, or as a file with one in each line."""
    file = Path(text)
    try:
        lines = file.read_text().splitlines() if len(text) < 4096 and file.is_file() else [text]
        return [read_key(line) for line in lines if line.strip()]
    except (NotReadable, UnicodeDecodeError) as error:
        raise Unusable(f"--key: {error}") from None


def _kept_heads(file: Path, keys: Sequence[PublicKey]) -> list[TreeHead]:
    """The heads in a file: one, or any number with blank lines between them. What is cut off there is named, and passed
    over: the file was written bit by bit, and may have gone on behind it. That shows at the signature, where the rest
    has the form of a head."""
    heads, cut_off, ring = [], [], key_ring(keys)
    for line, head in read_heads(file.read_text(encoding="utf-8", errors="replace")):
        good, false = head.signers(ring) if head else ([], [])
        if head is None or false:
            cut_off.append(line)
        elif not signed_by_log(head, good):
            raise Unusable(f"--head {file}: the head of {head.size} is not signed by a key that you named with --key")
        else:
            heads.append(head)
    if not heads:
        raise Unusable(f"--head {file}: there is no signed tree head in it")
    for line in cut_off:
        _complain(f"--head {file}: what begins at line {line} is not a signed tree head, and is passed over")
    return heads


def _complain(text: str) -> None:
    print(f"report-builder-verify: {_shown(text)}", file=sys.stderr)


def _shown(text: str) -> str:
    """In one line, without anything that a terminal would take for a command: names come from the bundle."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _progress(last: int) -> Callable[[int], None]:
    def show(position: int) -> None:
        if position % 8192 and position < last:
            return
        print(f"\r{position:,} of {last:,} events", end="\r" if position < last else "\n", file=sys.stderr, flush=True)

    return show


def _in_words(findings: Findings, kept: bool) -> str:
    """The findings for a person: the outcome in the first line, then what it rests on."""
    first, last, head = findings.first, findings.last, findings.head
    where = f", position {first}" if first else ""
    if first and last and last > first:
        where = (
            f", positions {first} to {last}" if findings.outcome == "incomplete" else f", at one of {first} to {last}"
        )
    if findings.outcome == "sound":
        part = f"positions {findings.checked_from} to {findings.checked_to}"
        sound = f"SOUND: the events of {part} are the ones that were recorded"
        lines = map(_shown, [sound, *_grounds(findings, kept), "", "Keep this tree head:", ""])
        return "\n".join([*lines, head["note"]])
    said = [f"{findings.outcome.upper()}{where}: {findings.reason}"]
    if findings.outcome == "incomplete" and head:
        said += ["Of what is there nothing is wrong. Where you asked for a part, name it: --from, --to, --team"]
        said += _grounds(findings, kept)
    return "\n".join(map(_shown, said))


def _grounds(findings: Findings, kept: bool) -> Iterator[str]:
    """What the findings rest on, and what they do not say."""
    head = findings.head
    yield f"the tree has {head['size']} events and the root {head['root']}, as {head['origin']} has signed it"
    if findings.witnesses:
        yield f"co-signed by {', '.join(findings.witnesses)}"
    yield f"tree heads that hold: {findings.heads_checked}, and of those that you kept {findings.kept_heads_checked}"
    if findings.heads_of_unknown_signers:
        yield f"tree heads that fit, signed by keys that you did not name: {findings.heads_of_unknown_signers}"
    if findings.bodies_not_there:
        yield f"bodies that are not in the bundle, and were not seen: {findings.bodies_not_there}"
    for key in findings.keys_followed:
        yield f"since position {key['position']} the log has another key, as the one before it has signed: {key['key']}"
    for epoch in findings.epochs:
        yield (
            f"epoch {epoch['epoch']} begins at position {epoch['position']}, after a restore: before it the log is what"
            f" was signed up to position {epoch['proven_size']}"
        )
    yield (
        "not shown by anything, as they are not in the tree: README.txt, keys.txt and the schemas, which whoever made"
        " the file wrote as they liked"
    )
    if not kept:
        yield (
            "not to be seen without a tree head that you kept (--head): that the log was taken back to an earlier"
            " state, or written anew with its own key"
        )


if __name__ == "__main__":
    sys.exit(main())
