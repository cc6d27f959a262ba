"""The HTTP application: all routes."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.tree.notes import VerifierKey
from service.amc.account_routes import account_routes
from service.amc.connecting import AccountDesk
from service.amc.instance_routes import instance_routes
from service.audit.errors import ErrorCounts
from service.audit.export_route import export_route
from service.audit.routes import audit_routes
from service.auth.door import Door
from service.auth.routes import auth_routes
from service.builder.check import check_route
from service.builder.collections import collection_creation
from service.builder.desk import Desk
from service.builder.one_call import one_call_routes
from service.builder.routes import builder_routes
from service.clock import Clock
from service.commands import Commands
from service.contract.event_schemas import published_schemas
from service.contract.routes import contract_routes
from service.data_collections.controls import control_routes
from service.data_collections.progress import progress_route
from service.data_collections.routes import collection_routes
from service.data_collections.timeline import timeline_route
from service.endpoints import Answer, Endpoint
from service.footing import Memory
from service.http import json_response
from service.letters.desk import LetterDesk
from service.letters.routes import letter_routes
from service.once import made_once
from service.operations.health import Health
from service.operations.routes import operation_routes
from service.operations.scrape import Scrape
from service.persons.erasing import Erasing
from service.persons.routes import person_routes
from service.persons.texts import PersonalTexts
from service.rates.limiter import Rates
from service.results.routes import result_routes
from service.results.store import ResultStore
from service.results.versions import version_route
from service.schedules.routes import schedule_routes
from service.stream.fanout import Fanout
from service.stream.routes import stream_routes
from service.teams.limits import Teams
from service.teams.routes import team_routes
from service.tree.routes import tree_routes
from service.ui.pages import Pages
from service.workflows.routes import workflow_routes


class ClockAnswer(Answer, frozen=True, kw_only=True):
    """What day and hour it is for schedules and windows. `speed` is 1, unless a developer has set the clock."""

    now: datetime
    speed: float
    settable: bool


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What `bootstrap` has made for the routes. Live streams end when `stopping` is set."""

    pool: Pool
    commands: Commands
    memory: Memory
    teams: Teams
    fanout: Fanout
    store: ResultStore
    clock: Clock
    accounts: AccountDesk
    door: Door
    rates: Rates
    errors: ErrorCounts
    letters: LetterDesk
    witnesses: tuple[VerifierKey, ...]
    texts: PersonalTexts
    erasing: Erasing
    stopping: asyncio.Event
    health: Health
    scrape: Scrape
    pages: Pages


def create_app(parts: Parts) -> Starlette:
    """All routes over the parts; `service.front` stands around them."""
    pool, commands, teams, clock = parts.pool, parts.commands, parts.teams, parts.clock
    desk = Desk(pool, parts.memory, teams, clock, parts.texts)
    schemas = made_once(published_schemas)

    async def show_clock(request: Request) -> Response:
        return json_response(ClockAnswer(now=clock.now(), speed=clock.speed, settable=clock.settable))

    endpoints = [
        *operation_routes(parts.health, parts.scrape, public=False),
        Endpoint("GET", "/api/clock", show_clock, summary="What time it is", answer=ClockAnswer, public=True),
        *auth_routes(parts.door),
        *builder_routes(desk, commands),
        check_route(desk, commands, parts.accounts),
        *one_call_routes(desk, commands),
        *workflow_routes(pool, commands, clock),
        *instance_routes(pool, commands),
        *account_routes(pool, commands, parts.accounts),
        *team_routes(pool, commands, teams),
        *collection_routes(pool),
        progress_route(pool),
        timeline_route(pool),
        *control_routes(pool, commands, teams),
        collection_creation(pool, commands, teams, clock, parts.texts),
        *result_routes(pool, parts.store),
        version_route(pool),
        *schedule_routes(pool, commands, teams, parts.store, clock, parts.texts),
        *stream_routes(pool, parts.fanout, parts.stopping, parts.door.lapsed),
        *audit_routes(pool),
        *tree_routes(pool, parts.witnesses),
        export_route(pool, schemas),
        *letter_routes(commands, parts.letters),
        *person_routes(pool, commands, parts.erasing),
    ]
    app = Starlette(routes=[*endpoints, *contract_routes(endpoints, schemas, anonymous=parts.door.for_local_person)])
    app.state.door, app.state.rates, app.state.errors = parts.door, parts.rates, parts.errors
    app.state.texts = parts.texts
    app.router.default = parts.pages
    return app
