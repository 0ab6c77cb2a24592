"""Refuse secrets that are easy to guess."""

from __future__ import annotations

import logging
from ipaddress import ip_address

from herald_core.errors import InvalidInput
from herald_server.auth.tokens.secret import find_weakness
from herald_server.wiring.settings import ServerSettings

log = logging.getLogger(__name__)

MAKE_SECRET_COMMAND = "export {}=$(openssl rand -hex 24)"


def check_secrets(settings: ServerSettings) -> None:
    """Refuse weak secrets; only warn on a loopback address.

    Raises `InvalidInput` with a command that generates a better one.
    """
    for name in ("token", "read_token", "token_secret", "jwt_secret"):
        secret: str | None = getattr(settings, name)
        why = find_weakness(secret) if secret else None
        if why is None:
            continue
        variable = f"HERALD_{name.upper()}"
        command = MAKE_SECRET_COMMAND.format(variable)
        message = f"{variable} is easy to guess: {why}; {command}"
        if not _is_loopback(settings.host):
            raise InvalidInput(
                f"{message} makes one. Only on 127.0.0.1 it would do.", name
            )
        log.warning("%s makes a better one.", message)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
