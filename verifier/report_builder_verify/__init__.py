"""Verifies an exported audit log offline: that nothing in it was altered, added, moved or removed.

Written to be read by an auditor, from here on in this order: `notes` (keys and signed tree heads), `tree` (the Merkle
tree), `bundle` (the exported file), `events` and `ids` (what can be said of events without the tree), `checks` (what is
held against what), `__main__` (the command). It shares no code with the service that writes the log, and needs Python's
standard library and the package `cryptography` alone.
"""
