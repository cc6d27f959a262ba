"""The door: who a caller is, for which team and with which scopes they come, and what keeps others out.

Read it from `door.py` on. Every route asks `caller_of` in `caller.py`, and nowhere else, on whose behalf a
request is; nothing in here appends events or knows what routes do.
"""
