"""Send a message through Apprise, which knows Slack, Teams, mail and more."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from herald_core.errors import InvalidInput
from herald_server.alerts.receivers import AlertReceiver
from herald_server.alerts.text import AlertText

INSTALL = "pip install 'celery-herald[alerts]'"
APPRISE_MISSING = (
    f"receivers of alerts need the package apprise, which is not installed: {INSTALL}"
)
TIMEOUT_S = 30.0


def check_receivers(receivers: Iterable[AlertReceiver]) -> None:
    """Raise `InvalidInput` for a receiver that nothing can be sent to."""
    for receiver in receivers:
        _load_receiver(receiver)


@lru_cache(maxsize=64)
def _load_receiver(receiver: AlertReceiver) -> Any:
    """Return Apprise's object for `receiver`. Raises `InvalidInput`."""
    with warnings.catch_warnings():
        # Apprise imports a module that Python 3.13 has no more, where there is one.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            # Imported here: it takes a while, and most servers have no receiver.
            import apprise
        except ModuleNotFoundError:
            raise InvalidInput(APPRISE_MISSING) from None
        # It logs URLs, which hold credentials.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        loaded = apprise.Apprise()
        for number, url in enumerate(receiver.urls, 1):
            if not loaded.add(url):
                raise InvalidInput(_describe_unknown(receiver.name, number, url))
    return loaded


def _describe_unknown(name: str, number: int, url: str) -> str:
    scheme = url.partition("://")[0][:30]
    return (
        f"[alerts.receivers.{name}] URL {number}, {scheme}://…, is none that Apprise"
        " can use; see https://appriseit.com/services/"
    )


async def send_text(receiver: AlertReceiver, text: AlertText) -> str:
    """Send `text` to all URLs of `receiver`; return what failed, empty for nothing."""
    try:
        loaded = _load_receiver(receiver)  # since the start
        async with asyncio.timeout(TIMEOUT_S):
            accepted = await loaded.async_notify(
                body=text.body, title=text.title, notify_type=text.type
            )
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except Exception as error:  # whatever a service brings about
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "" if accepted else "the service did not accept it"
