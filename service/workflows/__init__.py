"""What reports run on: workflows (SQL, its declared parameters, their versions) and AMC instances.

Pure: `sql`, `kinds`, `scalars`, `parameters` (values), `filled` (SQL to read), `lineage`, `inspect` (what SQL counts
and reads), `recommendation`, `presets`. `state` is a workflow by its events, `models` and `routes` its door.
"""
