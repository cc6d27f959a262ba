"""Every setting of the program, read once from the environment, in one place.

A name here is the variable without its prefix: `amc_base_url` is `REPORT_BUILDER_AMC_BASE_URL`.
A missing or wrong value stops the start with a sentence that names the variable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.auth.scopes import Scope

PREFIX = "REPORT_BUILDER_"

Seconds = Annotated[float, Meta(gt=0, le=1e8)]
Count = Annotated[int, Meta(ge=1)]


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable and the remedy."""


def default_data_dir() -> Path:
    """Where the embedded database and results live: root's home stays closed, so not below it."""
    if os.geteuid() == 0:
        return Path("/var/lib/report-builder")
    return Path.home() / ".local" / "share" / "report-builder"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings with their defaults; durations in seconds, addresses as URLs."""

    # Storage
    data_dir: Path = msgspec.field(default_factory=default_data_dir)
    database_url: str | None = None
    """PostgreSQL 15 or newer, as a role that is neither superuser nor the log's owner. Absent: embedded."""
    database_admin_url: str | None = None
    """Used by `migrate` alone."""
    # One connection listens; a step and the feed need one each beside it.
    database_pool_size: Annotated[int, Meta(ge=3)] = 10
    results_url: str | None = None
    """`s3://bucket/prefix`: where results are kept. Absent: the folder `results` of `data_dir`."""
    results_s3_endpoint: str | None = None
    """Of a store that is not Amazon's. This and the rest absent: as the usual `AWS_` variables say."""
    results_s3_region: str | None = None
    results_s3_access_key_id: str | None = None
    results_s3_secret_access_key: str | None = None

    # Broker
    amqp_url: str | None = None
    """RabbitMQ 3.10 or newer; the nodes of a cluster with commas between them. Absent: the memory broker, for one
    process."""
    amqp_prefix: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=100)] = "report_builder"
    """Begins every queue's name, so that two deployments can share a broker."""
    amqp_log_days: Count = 30
    """How long RabbitMQ keeps events in the stream queue of the log."""
    amqp_log_bytes: Annotated[int, Meta(ge=10_000_000)] = 5_000_000_000
    """How much of them it keeps."""
    worker_concurrency: Count = 16
    """Deliveries that one worker process works on at once."""

    # Accounts
    secret_key: str = ""
    """Encrypts the secrets of accounts and the keys of persons: keys of 32 bytes in base64, separated by commas, the
    newest first."""

    # HTTP
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    public_url: str | None = None
    """Where people reach the service, where that is not `host` and `port`: `https://reports.example.com`."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in a Host header that are ours, besides loopback's and `public_url`'s."""
    cors_origins: tuple[str, ...] = ()
    """Other sites whose pages may call the API, such as `https://tools.example.com`."""
    streams_per_user: Count = 50
    """Live event streams that one user may have open at once on one API process."""

    # Operations
    metrics_host: str = "127.0.0.1"
    """Where `/metrics` and health are served besides the API, to everybody who reaches it."""
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Absent: nowhere."""

    # Door
    auth_issuer: str | None = None
    """Whose tokens are taken, and where people sign in. Absent: on loopback nobody has to sign in."""
    auth_audience: Annotated[str, Meta(min_length=1)] = "report-builder"
    auth_jwks: str | None = None
    """The issuer's keys, a file or an address. Absent: where its discovery document says."""
    auth_jwks_refresh: Seconds = 300
    """How often the keys are fetched: a revoked one is refused from then on."""
    auth_jwks_keep: Seconds = 3600
    """How long the keys hold while the issuer does not answer."""
    auth_team_claim: Annotated[str, Meta(min_length=1)] = "team"
    auth_own_keys: bool = False
    """Takes tokens of `report-builder token`, and refuses whoever has no credential."""
    auth_client_id: str | None = None
    """What the issuer knows the browser's sign-in as. Absent: no sign-in in a browser."""
    auth_client_secret: str = ""
    auth_sign_in_scope: Annotated[str, Meta(pattern=r"^openid( \S+)*$")] = "openid profile email"
    """What a sign-in asks the issuer for; those of our scopes in it that it grants are the person's."""
    auth_sign_in_grants: tuple[Scope, ...] = ()
    """Scopes of everybody who signs in in a browser, for an issuer that knows nothing of ours."""
    auth_session_lifetime: Seconds = 43200

    # Command line
    api_url: str | None = None
    """The running service that commands such as `schedules` speak to. Absent: `host` and `port`."""
    api_token: str = ""
    """What they sign in with."""

    # Request rates
    rate_window: Annotated[int, Meta(ge=1, le=3600)] = 10
    """Length of the window that requests are counted in, in seconds."""
    rate_reads: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 6000
    """Reads (GET) that one person may send in any such window, over all processes; 0: any number."""
    rate_writes: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 3000
    """The same for all other methods."""

    # AMC
    amc_base_url: str = "https://advertising-api.amazon.com"
    amc_token_url: str = "https://api.amazon.com/auth/o2/token"
    amc_client_id: str = ""
    amc_client_secret: str = msgspec.field(default="")
    amc_refresh_token: str = ""
    amc_timeout: Seconds = 30
    """One request to AMC, from connect to the last byte of the answer."""
    amc_requests_per_second: Annotated[float, Meta(gt=0)] = 5
    """Of each account that has no rate of its own, over all processes."""
    amc_breaker_failures: Count = 5
    """Calls that AMC fails in a row on an instance before it is left alone."""
    amc_breaker_pause: Seconds = 15
    """How long it is left alone then; twice as long each time that a try fails, up to `retry_cap`."""
    amc_poll_delays: tuple[Annotated[float, Meta(ge=0)], ...] = (15, 30, 60)
    """Waits before the first, second … poll of an execution; the last one repeats."""
    amc_execution_timeout: Annotated[int, Meta(ge=900, le=86400)] = 21600

    # Backfill
    lease_margin: Seconds = 60
    """How long past its delay a step may stay silent before it is sent again."""
    retry_base: Seconds = 10
    """First back-off after a transient failure; doubles with each attempt up to `retry_cap`."""
    retry_cap: Seconds = 900
    admission_interval: Seconds = 1
    """Longest pause between two admissions when nothing wakes one earlier."""
    shutdown_grace: Seconds = 20
    shutdown_delay: Annotated[float, Meta(ge=0, le=1e8)] = 0
    """How long the API takes requests on after SIGTERM, not ready any more, for balancers to turn away."""

    # Transparency log
    tree_folder: Path | None = None
    """Where the key that signs tree heads is, and the last head. Absent: the folder `tree` of `data_dir`."""
    tree_name: Annotated[str, Meta(pattern=r"^(?!.*/epoch-[0-9]+$)[^\s+]+$", max_length=200)] | None = None
    """What the log is called in its heads, for ever: as a rule where it is served, without the scheme. It ends in no
    `/epoch-2`, as heads after a restore do. Absent: a name is made up with the key."""
    tree_interval: Seconds = 1
    """How often the tree is brought up to the log and signed."""
    tree_heads_file: Path | None = None
    """A file that every head is appended to."""
    tree_heads_url: str | None = None
    """`s3://bucket/prefix` that every head is put below, with what `results_s3_` and `AWS_` variables say."""
    tree_heads_amqp: bool = True
    """Whether every head is sent to RabbitMQ, where there is `amqp_url`."""
    tree_heads_log: bool = True
    """Whether every head is a line of the log."""
    tree_witnesses: tuple[str, ...] = ()
    """The public keys of witnesses whose co-signatures are taken, as vkeys."""

    # Limits
    max_running_backfills: Count = 5
    """Backfills that one user may have running at once."""
    max_active_schedules: Count = 100
    """Schedules that one user may have active at once."""
    # Schedules
    scheduler_interval: Seconds = 1
    """Longest pause between two looks at the schedules when nothing wakes one earlier."""
    settable_clock: bool = False
    """Development only: `clock set` may move the service's clock."""
    # Retention
    error_counts_days: Count = 400
    """How long the counts of refused requests are kept."""

    # Log
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"

    def __repr__(self) -> str:  # a settings object may end in a log line: no secret may
        return f"Settings(data_dir={str(self.data_dir)!r}, host={self.host!r}, port={self.port})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return [("data_dir", str(self.data_dir)), ("host", self.host), ("port", self.port)]


SECRET = ("url", "secret", "token", "key")
"""Ends of the names whose values no message may repeat; addresses may hold a password."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `REPORT_BUILDER_*` variables.

    Raises SettingsError for an unknown variable with our prefix or a value that does not fit.
    """
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, object] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in fields:
            raise SettingsError(f"{variable} is not a setting; see the list in docs/settings.md")
        if value == "":
            continue
        parsed: object = value
        if isinstance(fields[name].default, tuple):
            parsed = [part.strip() for part in value.split(",")]
        try:
            values[name] = msgspec.convert(parsed, fields[name].type, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            shown = variable if name.endswith(SECRET) else f"{variable}={value!r}"
            raise SettingsError(f"{shown} does not fit: {error}") from None
    return Settings(**values)  # type: ignore[arg-type]


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)
