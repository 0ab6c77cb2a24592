"""The server's settings: the monitor's, and those of its doors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from herald_monitor.config import MonitorSettings
from herald_server.auth import LOOPBACK
from herald_server.rooted import prefix_of

DEFAULT_PORT = 8787

Listed = Annotated[tuple[str, ...], NoDecode]


class ServerSettings(MonitorSettings):
    """How a server tells. Read once, at start."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=DEFAULT_PORT,
        ge=0,
        le=65_535,
        description="Port to listen on; 0 takes a free one.",
    )
    token: str | None = Field(
        default=None,
        min_length=8,
        description="A token with all scopes; made up if left out. On an address other"
        " than loopback it needs 16 characters, 8 different ones among them.",
    )
    read_token: str | None = Field(
        default=None,
        min_length=8,
        description="A token with the scope `read` alone, such as for Prometheus.",
    )
    token_secret: str | None = Field(
        default=None,
        min_length=16,
        description="What minted tokens are signed with; HERALD_TOKEN if left out.",
    )
    jwt_secret: str | None = Field(
        default=None,
        min_length=32,
        description="Secret of others who sign tokens (JWT, HS256).",
    )
    jwt_jwks: str | None = Field(
        default=None,
        description="Key set of others who sign tokens (JWT, RS256): a file or URL.",
    )
    jwt_issuer: str | None = Field(
        default=None, description="What `iss` of such tokens must be."
    )
    jwt_audience: str | None = Field(
        default=None,
        description="What `aud` of such tokens must be; needed with a key set.",
    )
    jwt_claim: str = Field(
        default="herald",
        min_length=1,
        description="The claim that holds a filter, in such tokens.",
    )
    allowed_hosts: Listed = Field(
        default=(), description="Host names by which this server is reached; * for any."
    )
    allowed_origins: Listed = Field(
        default=(), description="Origins of other pages that may connect; * for any."
    )
    catalog: Path | None = Field(
        default=None,
        description="A herald.toml with the task types that may be started.",
    )
    webhooks_allow: Listed = Field(
        default=(),
        description="Networks that webhooks may be sent to although they are not"
        " public, such as 10.1.0.0/16.",
    )
    webhooks_retry: float = Field(
        default=1.0,
        gt=0,
        le=3_600,
        description="Seconds before a webhook that failed is sent again; twice as many"
        " each time, at most 300.",
    )
    root_path: str = Field(
        default="",
        description="Path below which a reverse proxy serves this, such as /herald.",
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Server processes on the one port."
    )
    proxy_headers: Listed = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For and"
        " X-Forwarded-Proto are believed.",
    )
    tls_cert: Path | None = Field(
        default=None, description="Certificate chain to serve TLS with (PEM)."
    )
    tls_key: Path | None = Field(
        default=None, description="Its key, if that is not in the same file."
    )
    starts_per_minute: int = Field(
        default=1_000, ge=0, description="Tasks that one token may start; 0 for any."
    )
    starts_per_minute_per_type: int = Field(
        default=0,
        ge=0,
        description="Tasks of one name that may be started; 0 for any.",
    )
    confirm: Literal["client", "person"] = Field(
        default="client",
        description="Who may tell that a person agreed to a task type that asks for"
        " confirmation: `client` takes the word of a client that cannot ask its user,"
        " `person` refuses it.",
    )
    max_connections: int = Field(
        default=10_000,
        ge=1,
        description="WebSockets and event streams at once, for each process.",
    )
    max_unauthenticated: int = Field(
        default=1_000,
        ge=0,
        description="Connections at once from one address that have given no valid"
        " token yet, for each process; 0 for any. Proxies in HERALD_PROXY_HEADERS are"
        " not counted.",
    )
    cpu_per_token: float = Field(
        default=0.25,
        ge=0,
        description="Seconds of CPU time a second that requests of one token can count"
        " on, for each process; more only while no other waits. 0 for any.",
    )
    cpu_per_address: float = Field(
        default=0.1,
        ge=0,
        description="The same for all requests without a valid token from one address.",
    )
    filter_values_per_token: int = Field(
        default=50_000,
        ge=0,
        description="Values in the filters of all subscriptions of one token, for each"
        " process; 0 for any.",
    )
    request_timeout: float = Field(
        default=15.0,
        gt=0,
        description="Seconds in which a request must have arrived whole.",
    )
    audit_log: str | None = Field(
        default=None,
        description="File for the orders that were given, as JSON lines; - for"
        " standard error.",
    )

    @property
    def signing_secret(self) -> str | None:
        """What keys for signatures are derived from."""
        return self.token_secret or self.token

    @model_validator(mode="after")
    def _consistent(self) -> ServerSettings:
        # Without it, a token that was issued for any other application would do.
        if self.jwt_jwks and not self.jwt_audience:
            raise ValueError("HERALD_JWT_JWKS needs HERALD_JWT_AUDIENCE beside it")
        if self.read_token and self.read_token == self.token:
            raise ValueError("HERALD_READ_TOKEN must be another than HERALD_TOKEN")
        place = urlsplit(self.jwt_jwks or "")
        if place.scheme == "http" and place.hostname not in LOOPBACK:
            raise ValueError("HERALD_JWT_JWKS must be https: its keys open doors")
        return self

    @field_validator("root_path")
    @classmethod
    def _as_prefix(cls, value: str) -> str:
        return prefix_of(value)

    @field_validator(
        *("allowed_hosts", "allowed_origins", "webhooks_allow", "proxy_headers"),
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
