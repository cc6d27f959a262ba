"""The web interface: its sources (`src/`, TypeScript), and `pages.py`, which serves what the build made of them.

It knows the service by its public API alone, as any other program does; nothing in Python knows what a page shows.
"""
