"""PostgreSQL: pool, embedded server, migrations and SQL, one object per file.

Nothing here knows what an event or a report means.
"""
