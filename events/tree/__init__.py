"""The transparency log: leaves, the Merkle tree of RFC 6962 over them, its tiles, signed heads and proofs.

Formats as C2SP writes them down (c2sp.org: tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature, tlog-proof):
bytes in, bytes out. Only `store` reads and writes tables; nothing here knows a key's file or a clock.
"""
