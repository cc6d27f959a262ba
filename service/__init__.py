"""The program: HTTP, CLI, roles, and one package per capability.

Imports may reach into projections, events and db, never the other way round.
"""
