"""Witnesses: others who look at heads, and sign those that are consistent with what they have seen before."""

from __future__ import annotations

from events.tree.notes import COSIGNATURE, NoteError, VerifierKey, parse_verifier_key
from service.settings import Settings, SettingsError


def witness_keys(settings: Settings) -> tuple[VerifierKey, ...]:
    """The keys whose co-signatures are taken. Raises SettingsError."""
    keys = []
    for text in settings.tree_witnesses:
        try:
            key = parse_verifier_key(text)
        except NoteError as error:
            raise SettingsError(f"REPORT_BUILDER_TREE_WITNESSES does not fit: {error}") from None
        if key.kind != COSIGNATURE:
            raise SettingsError(
                f"REPORT_BUILDER_TREE_WITNESSES does not fit: {text} is no key for co-signatures (type 4)"
            )
        keys.append(key)
    return tuple(keys)
