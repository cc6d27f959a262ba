"""Benchmarks: `make bench` runs `python -m tests.bench`, the append benchmark; `make bench ARGS=activity`
that of the activity pages, `make bench ARGS=segments` that of the engine.

One module per contender, each with a `measure` that loads it for some seconds and then checks every row.
No figure is stored here: machines differ, so only ratios within one run mean anything.
"""
