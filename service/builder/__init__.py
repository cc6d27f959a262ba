"""The four steps of a report: parameters, schedule, review, submit.

`decide` is pure: what each step records, and what it refuses. `desk` does what a step takes beyond that, for
`routes` (step by step) and `one_call` (a whole configuration); `preview` says what will happen.
"""
