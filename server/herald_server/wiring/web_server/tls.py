"""Check the certificate for serving TLS without a proxy."""

from __future__ import annotations

import ssl

from herald_core.errors import InvalidInput
from herald_server.wiring.settings import ServerSettings


def check_tls(settings: ServerSettings) -> None:
    """Raise `InvalidInput` if certificate and key cannot be used."""
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise InvalidInput("HERALD_TLS_KEY needs HERALD_TLS_CERT beside it")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidInput(
            f"cannot serve TLS with {settings.tls_cert}: {why.lower()}; give a "
            "certificate chain in PEM, and its key in HERALD_TLS_KEY"
        ) from None
