"""The transparency log at work: the role that grows the tree and signs its heads, what it keeps outside of the
database, where heads are taken, the routes that serve tiles and proofs, and the restore.

The formats are in `events/tree`.
"""
