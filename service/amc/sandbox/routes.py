"""The HTTP API: Amazon's paths, and `/sandbox/…` for tests and demos."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.amc.sandbox import download_routes, execution_routes, workflow_routes
from service.amc.sandbox.answers import answer, refusal
from service.amc.sandbox.creation import Refused
from service.amc.sandbox.faults import Faults
from service.amc.sandbox.gate import Gate
from service.amc.sandbox.paging import page_of
from service.amc.sandbox.sandbox import Sandbox


def create_app(sandbox: Sandbox) -> Starlette:
    """The ASGI application. Its lifespan starts and stops the sandbox where the server runs it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await sandbox.start()
        try:
            yield
        finally:
            await sandbox.stop()

    app = Starlette(
        routes=[
            Route("/auth/o2/token", token, methods=["POST"]),
            Route("/amc/accounts", accounts, methods=["GET"]),
            Route("/amc/instances", instances, methods=["GET"]),
            *workflow_routes.ROUTES,
            *execution_routes.ROUTES,
            *download_routes.ROUTES,
            Route("/sandbox/faults", get_faults, methods=["GET"]),
            Route("/sandbox/faults", put_faults, methods=["PUT"]),
            Route("/sandbox/stats", stats, methods=["GET"]),
            Route("/sandbox/reset", reset, methods=["POST"]),
        ],
        middleware=[Middleware(Gate, sandbox=sandbox)],
        exception_handlers={Refused: _refused},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


async def token(request: Request) -> Response:
    """Login with Amazon: a refresh token for an access token; form or JSON."""
    sandbox = sandbox_of(request)
    body = await request.body()
    if "json" in request.headers.get("Content-Type", ""):
        try:
            fields = msgspec.json.decode(body, type=dict[str, str])
        except msgspec.DecodeError:
            fields = {}
    else:
        fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    missing = [name for name in ("grant_type", "refresh_token", "client_id", "client_secret") if not fields.get(name)]
    if missing:
        text = f"The request is missing a required parameter: {missing[0]}"
        return answer({"error": "invalid_request", "error_description": text}, status=400)
    if fields["grant_type"] != "refresh_token":
        text = "The authorization grant type is not supported"
        return answer({"error": "unsupported_grant_type", "error_description": text}, status=400)
    good, faults = sandbox.options.refresh_token, sandbox.faults.faults
    given = fields["refresh_token"]
    if faults.revoked or given in faults.revoked_tokens or (good is not None and given != good):
        sent = f" {fields}" if faults.echo_secrets else ""
        text = f"The request has an invalid grant parameter : refresh_token{sent}"
        return answer({"error": "invalid_grant", "error_description": text}, status=400)
    sandbox.stats.tokens_issued += 1
    return answer(
        {
            "access_token": sandbox.tokens.issue(fields["client_id"], given),
            "refresh_token": fields["refresh_token"],
            "token_type": "bearer",
            "expires_in": sandbox.options.token_seconds,
        }
    )


async def accounts(request: Request) -> Response:
    """The one AMC account of the sandbox."""
    options = sandbox_of(request).options
    return answer(
        {
            "amcAccounts": [
                {
                    "accountId": options.advertiser_id,
                    "accountName": "Sandbox Outdoors",
                    "marketplaceId": options.marketplace_id,
                }
            ]
        }
    )


async def instances(request: Request) -> Response:
    """The instances of the options, in pages."""
    options = sandbox_of(request).options
    page, token = page_of(sorted(options.instances), str, request.query_params)
    return answer(
        {
            "instances": [
                {
                    "instanceId": instance_id,
                    "instanceName": f"Sandbox {number}",
                    "instanceType": "STANDARD",
                    "customerCanonicalName": "Sandbox Outdoors",
                    "creationStatus": "COMPLETED",
                    "creationDatetime": "2024-01-01T00:00:00Z",
                    "entities": [options.advertiser_id],
                    "advertiserTypes": ["DISPLAY", "SPONSORED_ADS"],
                    "optionalDatasets": [],
                }
                for number, instance_id in enumerate(options.instances, start=1)
                if instance_id in page
            ],
            **({"nextToken": token} if token else {}),
        }
    )


async def get_faults(request: Request) -> Response:
    """The faults in force."""
    return answer(sandbox_of(request).faults.faults)


async def put_faults(request: Request) -> Response:
    """Other faults instead of all in force; what is left out is off. Counters start again."""
    try:
        faults = msgspec.json.decode(await request.body(), type=Faults)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refusal(422, str(error))
    sandbox_of(request).faults.set(faults)
    return answer(faults)


async def stats(request: Request) -> Response:
    """What has happened so far."""
    sandbox = sandbox_of(request)
    return answer(sandbox.stats.report(sandbox.executions.values()))


async def reset(request: Request) -> Response:
    """Forgets workflows, executions and counts."""
    await sandbox_of(request).reset()
    return answer({})


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox that the application was made for."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return refusal(error.status, error.text)
