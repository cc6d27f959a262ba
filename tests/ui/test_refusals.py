"""What a person sees where a step is refused: every code that the contract names for it.

Each is brought about for real: by what others do meanwhile, by a request that is spoiled on its way, or by a cause
within the service. Only what cannot come about at a step is answered in its place, in the service's own words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from playwright.async_api import Error, Locator, Route, expect

from events.append import Conflict, HalfKnown, KeyReused
from events.writer import AppendWriter, LogUnavailable, Overloaded
from service.amc.client import AmcClient
from service.amc.connections import AccountHeld, Connections
from service.amc.errors import AmcError
from service.amc.keys import NoSecretKey
from service.builder.desk import Desk
from service.persons.keys import PersonUnknown
from service.persons.texts import ErasedValues, PersonalTexts
from service.problems import problem_response, refusal_of
from service.rates.bucket import Bucket
from service.teams.limits import Limits, Teams
from tests.ui.browsing import Tab
from tests.ui.ground import CLICKS, WEEK, Ground, history, weekly

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]

Patch = pytest.MonkeyPatch


class Told(msgspec.Struct, frozen=True):
    """The words of a refusal: its title, its remedy, and the link or button beside them, where one leads on."""

    title: str
    remedy: str
    control: str = ""
    heading: bool = False
    """It takes the place of the page."""


AGAIN = re.compile(r"Try again in (a moment|\d+ seconds?)\.").pattern
OPERATOR = "If it stays, tell the operator the time and address below."
SOMEONE = "Someone else changed this report in the meantime"

WORDS = {
    "bad_request": Told("That cannot be read", "Check the address, or go back."),
    "unauthenticated": Told("Sign in", "what you typed is kept", "Sign in", heading=True),
    "cross_origin": Told("The service does not know this address", "Open Report Builder at its own address."),
    "forbidden": Told("You are not allowed to do this", "Ask an administrator of your team"),
    "not_found": Told("There is nothing here", "It may belong to another team", "All reports"),
    "stale": Told(SOMEONE, "Take their version, or save yours in its place.", "Take their version"),
    "version_conflict": Told(SOMEONE, "Take their version, or save yours in its place.", "Save mine over it"),
    "already_submitted": Told("This report was submitted already", "Its steps are closed.", "Open the report"),
    "not_reviewed": Told("What was reviewed is not what stands now", "Go back to the review", "Review again"),
    "step_missing": Told("An earlier step is missing", "Complete the steps in their order.", "Go to the parameters"),
    "person_erased": Told("Your person was erased", "Sign in again; you are somebody new then.", "Sign in again"),
    "personal_values_erased": Told(
        "Values were erased with the person who gave them", "give values of your own", "Go to the parameters"
    ),
    "account_held": Told(
        "Amazon does not accept the account", "An administrator has to connect it", "See the accounts"
    ),
    "no_secret_key": Told("The service has no key to encrypt this with", "The operator has to set one."),
    "half_known": Told("The service lost its place", OPERATOR, "Try again"),
    "too_many_backfills": Told("You have as many histories running as you may", "Wait until one has", "See what runs"),
    "too_many_schedules": Told(
        "You have as many active schedules as you may", "Pause or end one", "See the active schedules"
    ),
    "duplicate_schedule": Told("Your team has this very schedule already", "Use that one", "Open that schedule"),
    "body_too_large": Told("That is too much at once", "shorten the longest list"),
    "invalid": Told("Some fields need another look", "Correct what is marked", "Workflow: the workflow is archived"),
    "idempotency_key_reused": Told("This was sent before with another content", "Reload the page", "Reload the page"),
    "rate_limited": Told("Too many requests in a short time", AGAIN, "Try again"),
    "internal": Told("The service failed", OPERATOR, "Try again"),
    "amazon_refused": Told("Amazon refused it", "Correct what Amazon names", "Try again"),
    "amazon_unavailable": Told("Amazon does not answer", AGAIN, "Try again"),
    "overloaded": Told("The service is busy", "Nothing was recorded.", "Try again"),
    "database_unavailable": Told("The service’s database does not answer", AGAIN, "Try again"),
}
ARCHIVED = Told("One field needs another look", "take another", "Workflow: the workflow is archived")
REVIEW_CHANGED = Told("Someone else changed", "Look at it again, then confirm")
SUBMIT_CHANGED = Told("Someone else changed", "look at how it stands now, and confirm it", "Review again")
CHECK_CHANGED = Told("Someone else changed", "Look at it, then test again", "Test again")
OTHERWISE = {
    ("create", "invalid"): Told("", "It holds U+0000 or half of a surrogate pair", heading=True),
    ("parameters", "invalid"): ARCHIVED,
    ("schedule", "invalid"): ARCHIVED,
    **{("review", code): REVIEW_CHANGED for code in ("stale", "version_conflict")},
    **{("submit", code): SUBMIT_CHANGED for code in ("stale", "version_conflict")},
    **{("check", code): CHECK_CHANGED for code in ("stale", "version_conflict")},
}
"""Where a step says it in other words than most."""


class At:
    """A tab at a step, of a report and a workflow of its own."""

    def __init__(self, tab: Tab, ground: Ground, patch: Patch, step: str, path: str, workflow: str) -> None:
        self.tab = tab
        self.ground = ground
        self.patch = patch
        self.step = step
        self.path = path
        self.workflow = workflow

    async def on_its_way(self, change: Callable[[Route], Awaitable[None]]) -> None:
        """What becomes of the next request of the step."""
        posts = re.compile(r"/api/reports$" if self.step == "create" else rf"/api/reports/[^/]+/{self.step}$")

        async def once(route: Route) -> None:
            if route.request.method == "POST":
                await change(route)
            else:
                await route.continue_()

        await self.tab.page.route(posts, once)

    def within(self, where: type, method: str, cause: Callable[[], Exception]) -> None:
        """What goes wrong in the service."""

        async def fail(*_: object, **__: object) -> object:
            raise cause()

        self.patch.setattr(where, method, fail)

    async def spoiled(self, *, data: bytes | None = None, url: str | None = None, **headers: str | None) -> None:
        """The request with another body, address or headers (with `_` for `-`; None takes one out)."""

        async def send(route: Route) -> None:
            sent = {**await route.request.all_headers()}
            for name, value in headers.items():
                sent.pop(name.replace("_", "-"), None)
                if value is not None:
                    sent[name.replace("_", "-")] = value
            more: dict[str, Any] = {"post_data": data} if data is not None else {}
            if url:
                more["url"] = url
            await route.fulfill(response=await route.fetch(headers=sent, **more))

        await self.on_its_way(send)

    async def answered(self, cause: Exception) -> None:
        """What the service answers to this, where the step cannot be brought to it."""
        refused = refusal_of(cause)
        assert refused is not None
        response = problem_response(refused)

        async def fulfil(route: Route) -> None:
            body = bytes(response.body)
            await route.fulfill(status=response.status_code, body=body, content_type="application/problem+json")

        await self.on_its_way(fulfil)

    async def archived(self) -> None:
        await self.ground.service.done(f"/api/workflows/{self.workflow}/archive", {})


async def stale(at: At) -> None:
    """Only on its way: a page that is told of the change goes along with it."""
    await at.spoiled(if_match='"999"')


async def invalid(at: At) -> None:
    if at.step == "create":
        await at.spoiled(data=b'{"name": "\\ud800"}')
    else:
        await at.archived()


async def key_reused(at: At) -> None:
    if at.step in ("submit", "check"):  # nothing comes after the one, and the other always says the same
        await at.answered(KeyReused())
        return
    if at.step == "create":
        await at.ground.service.done("/api/reports", {"name": "Another"}, Idempotency_Key="taken")
    await at.spoiled(idempotency_key="taken")


async def not_found(at: At) -> None:
    await at.spoiled(url=f"{at.ground.url}/api/reports/3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90/{at.step}", if_match=None)


async def step_missing(at: At) -> None:
    bare = await at.ground.begun("Bare")
    await at.spoiled(url=f"{at.ground.url}/api{bare}/{at.step}", if_match=None)


async def already_submitted(at: At) -> None:
    done = await at.ground.submitted(weekly(f"02:{10 + list(ROUTES).index(at.step)}"), f"Done at {at.step}")
    await at.spoiled(url=f"{at.ground.url}/api{done}/{at.step}", if_match=None)


async def not_reviewed(at: At) -> None:
    sql = CLICKS.replace("SUM(clicks)", "MAX(clicks)")
    answer = await at.ground.service.send("PUT", f"/api/workflows/{at.workflow}", {"name": "Moved", "sql_query": sql})
    assert answer.status == 200


async def rate_limited(at: At) -> None:
    take = Bucket.take

    async def refuse(self: Bucket) -> object:
        standing = await take(self)
        return msgspec.structs.replace(standing, refused=standing.policy.name == "writes")

    at.patch.setattr(Bucket, "take", refuse)


def limited(**limits: int) -> Callable[[At], Awaitable[None]]:
    admit = Teams.admit

    async def cause(at: At) -> None:
        async def refuse(self: Teams, *args: Any, **named: Any) -> object:
            return await admit(Teams(self._pool, Limits(**limits)), *args, **named)

        at.patch.setattr(Teams, "admit", refuse)

    return cause


async def duplicate(at: At) -> None:
    await at.ground.submitted(weekly("04:44"), "The same", workflow_id=at.workflow)


def within(where: type, method: str, make: Callable[[], Exception]) -> Callable[[At], Awaitable[None]]:
    async def cause(at: At) -> None:
        at.within(where, method, make)

    return cause


async def account_held(at: At) -> None:
    of = Connections.of

    async def held(self: Connections, account_id: str) -> object:
        raise AccountHeld((await of(self, account_id)).account)

    at.patch.setattr(Connections, "of", held)


def of_amazon(kind: Any, status: int) -> Callable[[], Exception]:
    return lambda: AmcError("Amazon's own words", kind=kind, code="refused", status=status)


CAUSES: dict[str, Callable[[At], Awaitable[None]]] = {
    "bad_request": lambda at: at.spoiled(idempotency_key="x" * 201),
    "unauthenticated": lambda at: at.spoiled(authorization="Bearer nobody's"),
    "cross_origin": lambda at: at.spoiled(origin="https://elsewhere.example", sec_fetch_site="cross-site"),
    "forbidden": lambda at: at.spoiled(report_builder_team="Somebody else's"),
    "not_found": not_found,
    "stale": stale,
    "version_conflict": within(AppendWriter, "append", lambda: Conflict(Everywhere())),
    "already_submitted": already_submitted,
    "not_reviewed": not_reviewed,
    "step_missing": step_missing,
    "person_erased": within(PersonalTexts, "seal", lambda: PersonUnknown("there is no such person")),
    "personal_values_erased": within(Desk, "open_values", lambda: ErasedValues(("email",))),
    "account_held": account_held,
    "no_secret_key": within(PersonalTexts, "seal", lambda: NoSecretKey("set REPORT_BUILDER_SECRET_KEY")),
    "half_known": within(AppendWriter, "append", lambda: HalfKnown("some are recorded")),
    "too_many_backfills": limited(running_backfills=0),
    "too_many_schedules": limited(active_schedules=0),
    "duplicate_schedule": duplicate,
    "body_too_large": lambda at: at.spoiled(data=b'"' + b"x" * 2**21 + b'"'),
    "invalid": invalid,
    "idempotency_key_reused": key_reused,
    "rate_limited": rate_limited,
    "internal": within(AppendWriter, "append", lambda: RuntimeError("a fault")),
    "amazon_refused": within(AmcClient, "put_workflow", of_amazon("permanent", 403)),
    "amazon_unavailable": within(AmcClient, "put_workflow", of_amazon("transient", 503)),
    "overloaded": within(AppendWriter, "append", lambda: Overloaded("4096 requests wait")),
    "database_unavailable": within(AppendWriter, "append", lambda: LogUnavailable("it does not answer")),
}


class Everywhere(dict[str, int]):
    """Each stream has moved on."""

    def __missing__(self, stream: str) -> int:
        return 999


ROUTES = {"create": "/api/reports"} | {
    step: f"/api/reports/{{report_id}}/{step}" for step in ("parameters", "schedule", "review", "submit", "check")
}
PRESSED = {
    "create": "Begin",
    "parameters": "Save and continue",
    "schedule": "Save and continue",
    "review": "Confirm and continue",
    "submit": "Start the history and the weekly schedule",
    "check": "Test run",
}
NEXT = {"create": "Parameters", "parameters": "Schedule", "schedule": "Review", "review": "Submit"}
LAST = ("duplicate_schedule", "not_reviewed", "invalid")
"""They leave something behind: the workflow is another one then."""


def codes_of(document: Any, step: str) -> list[str]:
    """Every code that the contract has for the step, those that change nothing first."""
    found = []
    for answer in document["paths"][ROUTES[step]]["post"]["responses"].values():
        if "$ref" in answer:
            named = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            (content,) = named["content"].values()
            found += content["schema"]["properties"]["code"]["enum"]
    return sorted(found, key=lambda code: (LAST.index(code) + 1 if code in LAST else 0, code))


def shared_out(codes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Each code at one of the steps that have it, as evenly as it goes; where a step says it in words of its own, there
    too."""
    at: dict[str, list[str]] = {step: [] for step in codes}
    for code in sorted({code for found in codes.values() for code in found}):
        able = [step for step, found in codes.items() if code in found]
        chosen = min(able, key=lambda step: len(at[step]))
        for step in able:
            if step == chosen or (step, code) in OTHERWISE:
                at[step].append(code)
    return {step: [code for code in found if code in at[step]] for step, found in codes.items()}


async def opened(tab: Tab, ground: Ground, patch: Patch, step: str) -> At:
    """The step's page, with something typed."""
    made = await ground.service.done("/api/workflows", {"name": f"Refused at {step}", "sql_query": CLICKS})
    workflow = made["workflow_id"]
    both = {**weekly("04:44"), "schedule_type": "backfill_with_schedule"}
    both["backfill_config"] = history("monthly")["backfill_config"]
    name = f"Refused at {step}"
    path = ""
    first = {"instance_id": "amcsandbox1", "workflow_id": workflow, "lookback_config": WEEK}
    taken: dict[str, Any] = {"parameters": first, "schedule": weekly("03:33"), "review": {}}
    if step == "parameters":
        path = await ground.begun(name)
    elif step == "schedule":
        path = await ground.with_parameters(name, workflow_id=workflow)
    elif step in ("review", "check"):
        path = await ground.with_schedule(both, name, workflow_id=workflow)
    elif step == "submit":
        path = await ground.reviewed(both, name, workflow_id=workflow)
    if step in taken:
        await ground.service.done(f"/api{path}/{step}", taken[step], Idempotency_Key="taken")
    await tab.open("/reports/new" if step == "create" else f"{path}/{'review' if step == 'check' else step}")
    at = At(tab, ground, patch, step, path, workflow)
    if step == "create":
        await tab.field("Name of the report").fill("Typed")
    elif step == "parameters":
        await tab.choose("Workflow", f"Refused at {step}")
        await tab.chip("Last 14 days").click()
    elif step == "schedule":
        await tab.chip("Tue").click()
    await tab.button(PRESSED[step]).wait_for()
    return at


async def kept(at: At) -> None:
    """What was typed is there."""
    page = at.tab.page
    if at.step == "create":
        await expect(at.tab.field("Name of the report")).to_have_value("Typed")
    elif at.step == "parameters":
        await expect(page.get_by_role("radio", name="Last 14 days")).to_be_checked()
        await expect(at.tab.search("Workflow")).to_have_value("Refused at parameters")
    elif at.step == "schedule":
        await expect(page.get_by_role("checkbox", name="Tue")).to_be_checked()


async def refused(at: At, code: str) -> None:
    """Has it refused, and looks at what is shown."""
    page, told = at.tab.page, OTHERWISE.get((at.step, code), WORDS[code])
    await CAUSES[code](at)
    await at.tab.button(PRESSED[at.step]).click()
    box: Locator
    if told.heading:
        box = page.get_by_role("main")
        if told.title:
            await at.tab.on(told.title)
    else:
        box = page.get_by_role("alert").filter(has_text=told.title).first
    await expect(box).to_contain_text(re.compile(told.remedy if "\\d" in told.remedy else re.escape(told.remedy)))
    if told.control:
        control = box.get_by_role("link", name=told.control).or_(box.get_by_role("button", name=told.control))
        await expect(control.first).to_be_visible()
    at.patch.undo()
    await page.unroute_all()


@pytest.mark.parametrize(
    ("step", "everything"),
    [*((step, False) for step in ROUTES), *(pytest.param(step, True, marks=pytest.mark.long) for step in ROUTES)],
)
async def test_every_refusal_of_a_step_is_told_with_its_remedy(
    tab: Tab, ground: Ground, monkeypatch: Patch, step: str, everything: bool
) -> None:
    document = await ground.service.read("/openapi.json")
    steps = {step: codes_of(document, step) for step in ROUTES}
    codes = steps[step] if everything else shared_out(steps)[step]
    assert set(codes) <= set(WORDS), "a code without words here"
    assert set(codes) <= set(CAUSES), "a code that is not brought about"
    at = await opened(tab, ground, monkeypatch, step)
    for code in codes:
        try:
            async with asyncio.timeout(15):
                await refused(at, code)
        except (AssertionError, TimeoutError, Error) as error:
            shown = await tab.page.get_by_role("main").inner_text()
            raise AssertionError(f"{step}, {code}: {error}\n{shown[:800]}") from error
        if WORDS[code].heading:  # the page has gone
            await tab.open("/reports/new" if step == "create" else f"{at.path}/{'review' if step == 'check' else step}")
            await tab.button(PRESSED[step]).wait_for()
        await kept(at)


async def test_whoever_follows_a_remedy_comes_to_the_end(tab: Tab, ground: Ground, monkeypatch: Patch) -> None:
    page = tab.page
    await ground.submitted(weekly("05:59"), "To make room")
    path = await ground.reviewed(weekly("05:58"), "Let in")
    active = (await ground.service.read("/api/schedules?status=active&limit=100"))["items"]
    at = At(tab, ground, monkeypatch, "submit", path, ground.clicks)
    await limited(active_schedules=len(active))(at)
    await tab.open(f"{path}/submit")
    await tab.button("Start the weekly schedule").click()
    await page.get_by_role("alert").get_by_role("link", name="See the active schedules").click()
    await tab.on("Schedules")
    await tab.button("Pause To make room").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.go_back()
    await tab.on("Submit")
    await tab.button("Start the weekly schedule").click()
    await page.get_by_role("link", name="Its runs").wait_for()
    assert (await ground.report(path))["schedule_id"]
