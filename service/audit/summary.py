"""The figures of the builder: how far reports come, how long each step takes, what is refused."""

from __future__ import annotations

from datetime import date
from typing import get_args

from db.pool import Connection, Pool
from events.envelope import Step
from service.endpoints import Answer

STEPS: tuple[Step, ...] = get_args(Step)
MOMENTS = ("created_at", *(f"{step}_at" for step in STEPS))


class StepFigures(Answer, frozen=True, kw_only=True):
    """One step of the reports that were begun in the time.

    `reached`: the step before it is done (for the first: the report was begun). `completed`: it was posted.
    `dropped_off`: the rest, reports that stand there still. `reposted`: of the completed ones, those posted more
    than once; `posts` counts all. `seconds_median`, `seconds_p90`: from the first post of the step before to the
    first of this one, over `timed` reports; null without any. A step that came in one call with the step
    before took no time and is not timed.
    """

    step: Step
    reached: int
    completed: int
    dropped_off: int
    reposted: int
    posts: int
    timed: int
    seconds_median: float | None
    seconds_p90: float | None


class ErrorFigures(Answer, frozen=True, kw_only=True):
    """How many requests were refused with this code, and of how many persons."""

    code: str
    requests: int
    persons: int


class RouteErrors(Answer, frozen=True, kw_only=True):
    """The same for one route."""

    route: str
    code: str
    requests: int
    persons: int


class Summary(Answer, frozen=True, kw_only=True):
    """`from` and `to`: days in UTC, both included. `submissions`: of the `reports` begun in them, those that were
    submitted, at any time; `submitted_at_once` of these in one call."""

    reports: int
    submissions: int
    submitted_at_once: int
    steps: list[StepFigures]
    errors: list[ErrorFigures]
    errors_by_route: list[RouteErrors]


def _figures_of(step: Step, before: str) -> str:
    """The columns of one step: `before` is the moment that it was reached at."""
    moment, posts = f"{step}_at", f"{step}_posts"
    # The same moment: one append.
    timed = f"FILTER (WHERE {moment} > {before})"
    seconds = f"extract(epoch FROM {moment} - {before})::double precision"
    return f"""
       count({before}) AS {step}_reached, count({moment}) AS {step}_completed,
       count(*) FILTER (WHERE {posts} > 1) AS {step}_reposted, coalesce(sum({posts}), 0) AS {step}_posts,
       count(*) {timed} AS {step}_timed,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY {seconds}) {timed} AS {step}_median,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY {seconds}) {timed} AS {step}_p90"""


# $1: the team, null for all; $2, $3: the first and the last day, in UTC.
REPORTS = f"""
SELECT count(*) AS reports, count(submit_at) AS submissions,
       count(*) FILTER (WHERE submit_at = parameters_at) AS submitted_at_once,
       {", ".join(_figures_of(step, before) for before, step in zip(MOMENTS, STEPS, strict=False))}
  FROM report_steps
 WHERE {{team}} AND created_at >= $2::date::timestamp AT TIME ZONE 'UTC'
   AND created_at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
"""  # noqa: S608

ERRORS = """
SELECT grouping(route) = 1 AS total, route, code, sum(count)::bigint AS requests, count(DISTINCT user_id) AS persons
  FROM request_errors WHERE {team} AND day BETWEEN $2 AND $3
 GROUP BY GROUPING SETS ((code), (route, code)) ORDER BY requests DESC, code, route
"""


async def read_summary(pool: Connection | Pool, team_id: str | None, first: date, last: date) -> Summary:
    """The figures of a team, or of all, for the reports begun and the requests refused on these days (UTC)."""
    team = "team_id = $1" if team_id is not None else "$1::text IS NULL"
    row = await pool.fetchrow(REPORTS.format(team=team), team_id, first, last)
    errors = await pool.fetch(ERRORS.format(team=team), team_id, first, last)
    assert row is not None
    return Summary(
        reports=row["reports"],
        submissions=row["submissions"],
        submitted_at_once=row["submitted_at_once"],
        steps=[
            StepFigures(
                step=step,
                reached=row[f"{step}_reached"],
                completed=row[f"{step}_completed"],
                dropped_off=row[f"{step}_reached"] - row[f"{step}_completed"],
                reposted=row[f"{step}_reposted"],
                posts=row[f"{step}_posts"],
                timed=row[f"{step}_timed"],
                seconds_median=row[f"{step}_median"],
                seconds_p90=row[f"{step}_p90"],
            )
            for step in STEPS
        ],
        errors=[
            ErrorFigures(code=each["code"], requests=each["requests"], persons=each["persons"])
            for each in errors
            if each["total"]
        ],
        errors_by_route=[
            RouteErrors(route=each["route"], code=each["code"], requests=each["requests"], persons=each["persons"])
            for each in errors
            if not each["total"]
        ],
    )
