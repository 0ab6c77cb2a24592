"""The server's settings: the monitor's, and those of its doors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from herald_monitor.config import MonitorSettings
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
        description="A token with all scopes; made up if left out.",
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

    root_path: str = Field(
        default="",
        description="Path below which a reverse proxy serves this, such as /herald.",
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Server processes on the one port."
    )

    @field_validator("root_path")
    @classmethod
    def _as_prefix(cls, value: str) -> str:
        return prefix_of(value)

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
