"""The four steps of a report: parameters, schedule, review, submit.

`decide` is pure: the report as its events made it and a command give the new events. `routes` is its door.
"""
