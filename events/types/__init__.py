"""The structs of all events, one module per kind of stream; `events.registry` collects them.

A type's name is `stream.happened`, in the past tense. Bodies hold facts, never a credential.
"""
