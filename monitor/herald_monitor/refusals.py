"""Why a server did not do what it was asked: an error of any library → a sentence.

"It does not answer, start it" is wrong advice for who lacks a right, and the other way
round. So the causes are told apart: nobody listens, the name is unknown, no answer
comes, TLS does not match, the login is wrong, a right is missing. Pure.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from amqp.exceptions import AccessRefused, NotAllowed
from redis import exceptions

from herald_monitor.errors import HeraldError

ABSENT = "absent"
UNKNOWN_NAME = "name"
SILENT = "silent"
TLS = "tls"
LOGIN = "login"
RIGHTS = "rights"
OTHER = "other"
"""Kinds of causes."""

VERBS = {
    LOGIN: "does not let Herald in",
    RIGHTS: "does not allow all that Herald asks",
    TLS: "cannot be spoken to",
}
"""What such a server does; any other does not answer."""

OF_SENTINEL = (
    "sentinels are asked for a name: set broker_transport_options = "
    '{"master_name": "NAME"} in the project and give -A'
)
DOCUMENTED = 'the rights that Herald needs are in monitor/README.md, "Rights"'


class Refusal(NamedTuple):
    """A cause: its kind, why in a few words, and what to do."""

    kind: str
    why: str
    advice: str

    def sentence(self, what: str, silent: str = "does not answer") -> str:
        """Return a sentence about `what`, such as "the broker at redis://h".

        `silent` is what it does if nothing better is known.
        """
        return f"{what} {VERBS.get(self.kind, silent)} ({self.why}); {self.advice}"


def refusal_of(error: BaseException, setting: str, silence: str = "") -> Refusal:
    """Return the cause of `error`.

    `setting` names where the URL is given; `silence` is why, if `error` says nothing.
    """
    chain = list(_chain(error))
    text = " ".join(_text(one) for one in chain)
    for tell in (_right, _login, _tls, _absent, _name, _silent):
        if found := tell(chain, text, setting):
            return found
    if "master_name" in text:
        return Refusal(OTHER, "it names no primary", OF_SENTINEL)
    why = _text(error) or silence or type(error).__name__
    return Refusal(OTHER, why, f"see that it runs and that {setting} is right")


def brief_refusal(error: BaseException, setting: str) -> str:
    """Return the cause of `error`, and what to do if more is known than its text."""
    if isinstance(error, HeraldError):
        return str(error)
    cause = refusal_of(error, setting)
    return cause.why if cause.kind == OTHER else f"{cause.why}: {cause.advice}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it came of: kombu wraps those of its libraries."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _text(error: BaseException) -> str:
    # amqp's errors have a method and a class behind their text.
    said = getattr(error, "reply_text", None) or str(cast(object, error))
    return " ".join(str(said).split())


def _any(chain: list[BaseException], *kinds: type[BaseException]) -> Any:
    return next((one for one in chain if isinstance(one, kinds)), None)


Tell = Callable[[list[BaseException], str, str], Refusal | None]

COMMAND = re.compile(r"run the '([^']+)' command")
ACCESS = re.compile(r"(?:(\w+) )?access to (\w+ '[^']*')", re.IGNORECASE)
USER = re.compile(r"refused for user '([^']*)'")


def missing_right(error: BaseException) -> str:
    """Return what a user may not do, such as `INFO`; empty if that is not the cause."""
    chain = list(_chain(error))
    found = _right(chain, " ".join(_text(one) for one in chain), "")
    return found.why.partition(" is not allowed")[0] if found else ""


def _right(chain: list[BaseException], text: str, _: str) -> Refusal | None:
    if _any(chain, exceptions.NoPermissionError) or "NOPERM" in text:
        if command := COMMAND.search(text):
            word = command[1].replace("|", " ").upper()
            grant = command[1].lower()
            return Refusal(
                RIGHTS,
                f"{word} is not allowed for this user",
                f"allow it with ACL SETUSER USER +{grant}; {DOCUMENTED}",
            )
        thing = "a channel" if "channel" in text else "a key"
        return Refusal(
            RIGHTS,
            f"access to {thing} that Herald asks for is not allowed for this user",
            f"add its pattern with ACL SETUSER; {DOCUMENTED}",
        )
    refused = _any(chain, AccessRefused)
    if refused and (access := ACCESS.search(_text(refused))):
        kind = (access[1] or "any").lower()
        return Refusal(
            RIGHTS,
            f"{kind} access to {access[2]} is not allowed for this user",
            f"allow it with rabbitmqctl set_permissions; {DOCUMENTED}",
        )
    return None


def _login(chain: list[BaseException], text: str, setting: str) -> Refusal | None:
    vhost = _any(chain, NotAllowed)
    if vhost and "vhost" in text:
        return Refusal(
            LOGIN,
            _text(vhost),
            f"mend the virtual host in {setting}, or let the user in with "
            "rabbitmqctl set_permissions",
        )
    refused = _any(chain, exceptions.AuthenticationError, AccessRefused)
    if refused or any(word in text for word in ("WRONGPASS", "NOAUTH")):
        asked = "required" in text.lower() or "NOAUTH" in text
        why = "it wants a password" if asked else "its user or password are wrong"
        return Refusal(
            LOGIN,
            why,
            f"write redis://USER:PASSWORD@HOST (or amqp://…) in {setting}, special "
            "characters percent-encoded",
        )
    return None


UNTRUSTED = "certificate verify failed"
MISMATCH = (
    "see whether that port speaks TLS: rediss:// and amqps:// in {} do, redis:// and "
    "amqp:// do not"
)
OF_CLIENT = ("certificate required", "handshake failure", "bad certificate")


def _tls(chain: list[BaseException], text: str, setting: str) -> Refusal | None:
    low = text.lower().replace("_", " ")
    if UNTRUSTED in low:
        return Refusal(
            TLS,
            "its certificate is not trusted: " + _reason(low),
            f"name the authority: ?ssl_ca_certs=FILE in {setting}, or broker_use_ssl",
        )
    if any(word in low for word in OF_CLIENT):
        return Refusal(
            TLS,
            "it wants a certificate of the client",
            f"write ?ssl_certfile=FILE&ssl_keyfile=FILE in {setting}, or set "
            "broker_use_ssl in the project and give -A",
        )
    if "eof occurred in violation" in low:
        # TLS 1.3 tells of a missing certificate after the handshake, or hangs up.
        return Refusal(
            TLS,
            "it hung up during TLS; it may want a certificate of the client",
            f"see that the port speaks TLS, or write ?ssl_certfile=FILE&ssl_keyfile="
            f"FILE in {setting}, or set broker_use_ssl in the project and give -A",
        )
    if "handshake operation timed out" in low:
        # A plain Redis waits for the end of what it takes for a command.
        return Refusal(TLS, "no answer to TLS", MISMATCH.format(setting))
    if _any(chain, ssl.SSLError) or "[ssl" in low or "wrong version number" in low:
        return Refusal(
            TLS,
            "TLS does not match: " + _reason(low),
            MISMATCH.format(setting),
        )
    closed = ("connection closed by server", "connection reset by peer")
    if any(word in low for word in (*closed, "server closed", "unexpected frame")):
        return Refusal(
            OTHER,
            "it closes the connection at once",
            f"if it speaks TLS, write rediss:// or amqps:// in {setting}",
        )
    return None


def _reason(low: str) -> str:
    found = re.search(r"(certificate verify failed[^(]*|\] [^(]*)", low)
    return (found[0].lstrip("] ").strip() if found else low)[:120]


def _absent(chain: list[BaseException], text: str, setting: str) -> Refusal | None:
    low = text.lower()
    advice = f"start it, or mend {setting}"
    if "no such file" in low or _any(chain, FileNotFoundError):
        return Refusal(ABSENT, "there is no such socket", advice)
    if _any(chain, ConnectionRefusedError) or "connection refused" in low:
        return Refusal(ABSENT, "nothing listens there: connection refused", advice)
    return None


NAMES = ("name or service not known", "name resolution", "nodename nor servname")


def _name(chain: list[BaseException], text: str, setting: str) -> Refusal | None:
    if _any(chain, socket.gaierror) or any(word in text.lower() for word in NAMES):
        return Refusal(
            UNKNOWN_NAME, "its name cannot be resolved", f"mend the host in {setting}"
        )
    return None


def _silent(chain: list[BaseException], text: str, setting: str) -> Refusal | None:
    if _any(chain, TimeoutError, exceptions.TimeoutError) or "timed out" in text:
        return Refusal(
            SILENT,
            "no answer in time",
            f"see that it runs, that no firewall is between, that {setting} is right, "
            "and that both sides speak TLS or neither does",
        )
    return None
