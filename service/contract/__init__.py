"""The contract in machine-readable form, and its pages: `/openapi.json`, `/asyncapi.json`, `/docs`, `/schemas/…`.

All of it is made once, when it is first asked for, from the endpoints and their structs. Nothing here decides anything.
"""
