"""Persons: their keys, the sealing and opening of what is personal, legal holds and erasure.

`keys` and `sealing` are the cryptography, `texts` seals for the log and opens for answers, `state` is a person by their
events, `copies` says what an erasure does not reach. The log has tokens alone; see docs/erasure.md.
"""
