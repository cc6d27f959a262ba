"""The transparency log: leaves, the Merkle tree of RFC 6962 over them, its tiles, signed heads and proofs.

Pure formats, as C2SP writes them down (c2sp.org: tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature,
tlog-proof): bytes in, bytes out. Nothing here reads a table, a file or a clock.
"""
