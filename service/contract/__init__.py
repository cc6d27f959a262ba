"""The contract in machine-readable form, and its pages: `/openapi.json`, `/asyncapi.json`, `/docs`, `/schemas/…`.

All of it is made once, at the start, from the endpoints and their structs. Nothing here decides anything.
"""
