"""When a schedule runs, which of its missed runs are made up, and how that reads in plain words.

Everything here is pure: a schedule and instants in, values out. No clock, no database, no broker.
"""
