"""Serving TLS ourselves, where no proxy does it."""

from __future__ import annotations

import ssl

from herald_monitor.errors import BadInput
from herald_server.config import ServerSettings


def check_tls(settings: ServerSettings) -> None:
    """Raise `BadInput` if certificate and key cannot be served with."""
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise BadInput("HERALD_TLS_KEY needs HERALD_TLS_CERT beside it")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"cannot serve TLS with {settings.tls_cert}: {why.lower()}; give a "
            "certificate chain in PEM, and its key in HERALD_TLS_KEY"
        ) from None
