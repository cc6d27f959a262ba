"""Collections: a window of history cut into segments; the dates of both, how it is planned and how it is read.

Pure but for `routes`: builder, schedules and backfill take windows and segments from here.
"""
