"""The cause of a server's failure: an error of any library → a sentence.

"The server does not answer, start it" is wrong advice for a missing permission, and
vice versa. So the causes are distinguished: connection refused, unknown host, timeout,
TLS mismatch, wrong login, missing permission. Pure.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from amqp.exceptions import AccessRefused, NotAllowed
from redis import exceptions

from herald_core.errors import HeraldError

KIND_ABSENT = "absent"
KIND_UNKNOWN_NAME = "name"
KIND_SILENT = "silent"
KIND_TLS = "tls"
KIND_LOGIN = "login"
KIND_RIGHTS = "rights"
KIND_OTHER = "other"
"""Kinds of causes."""

VERBS_BY_KIND = {
    KIND_LOGIN: "does not let Herald in",
    KIND_RIGHTS: "does not allow all that Herald asks",
    KIND_TLS: "cannot be connected to",
}
"""Kinds that describe a server's answer; for any other the server does not answer."""

SENTINEL_ADVICE = (
    "sentinels are asked for a name: set broker_transport_options = "
    '{"master_name": "NAME"} in the project and give -A'
)
RIGHTS_ADVICE = "the documentation lists the rights that Herald needs: Permissions"


class ErrorCause(NamedTuple):
    """A cause: its kind, a short reason, and an action."""

    kind: str
    reason: str
    advice: str

    def format(self, what: str, silent: str = "does not answer") -> str:
        """Return a sentence about `what`, such as "the broker at redis://h".

        `silent` describes the failure if no better cause is known.
        """
        verb = VERBS_BY_KIND.get(self.kind, silent)
        return f"{what} {verb} ({self.reason}); {self.advice}"


def find_cause(error: BaseException, setting: str, silence: str = "") -> ErrorCause:
    """Return the cause of `error`.

    `setting` names the setting of the URL; `silence` is the reason if `error` holds
    none.
    """
    chain = list(_iter_chain(error))
    text = " ".join(_get_text(one) for one in chain)
    for match in (
        _match_right,
        _match_login,
        _match_tls,
        _match_absent,
        _match_name,
        _match_silent,
    ):
        if cause := match(chain, text, setting):
            return cause
    if "master_name" in text:
        return ErrorCause(KIND_OTHER, "it names no primary", SENTINEL_ADVICE)
    why = _get_text(error) or silence or type(error).__name__
    return ErrorCause(KIND_OTHER, why, f"see that it runs and that {setting} is right")


def describe_briefly(error: BaseException, setting: str) -> str:
    """Return the cause of `error`, and an action if one is known."""
    if isinstance(error, HeraldError):
        return str(error)
    cause = find_cause(error, setting)
    return (
        cause.reason if cause.kind == KIND_OTHER else f"{cause.reason}: {cause.advice}"
    )


def _iter_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes: kombu wraps the errors of its libraries."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _get_text(error: BaseException) -> str:
    # amqp's errors have a method and a class after their text.
    text = getattr(error, "reply_text", None) or str(cast(object, error))
    return " ".join(str(text).split())


def _join_texts(chain: list[BaseException], *kinds: type[BaseException]) -> Any:
    return next((one for one in chain if isinstance(one, kinds)), None)


CauseRule = Callable[[list[BaseException], str, str], ErrorCause | None]

COMMAND_PATTERN = re.compile(r"run the '([^']+)' command")
ACCESS_PATTERN = re.compile(r"(?:(\w+) )?access to (\w+ '[^']*')", re.IGNORECASE)


def find_missing_right(error: BaseException) -> str:
    """Return the missing permission, such as `INFO`; empty if that is not the cause."""
    chain = list(_iter_chain(error))
    found = _match_right(chain, " ".join(_get_text(one) for one in chain), "")
    return found.reason.partition(" is not allowed")[0] if found else ""


def _match_right(chain: list[BaseException], text: str, _: str) -> ErrorCause | None:
    if _join_texts(chain, exceptions.NoPermissionError) or "NOPERM" in text:
        if command := COMMAND_PATTERN.search(text):
            word = command[1].replace("|", " ").upper()
            grant = command[1].lower()
            return ErrorCause(
                KIND_RIGHTS,
                f"{word} is not allowed for this user",
                f"allow it with ACL SETUSER USER +{grant}; {RIGHTS_ADVICE}",
            )
        thing = "a channel" if "channel" in text else "a key"
        return ErrorCause(
            KIND_RIGHTS,
            f"access to {thing} that Herald asks for is not allowed for this user",
            f"add its pattern with ACL SETUSER; {RIGHTS_ADVICE}",
        )
    refused = _join_texts(chain, AccessRefused)
    if refused and (access := ACCESS_PATTERN.search(_get_text(refused))):
        kind = (access[1] or "any").lower()
        return ErrorCause(
            KIND_RIGHTS,
            f"{kind} access to {access[2]} is not allowed for this user",
            f"allow it with rabbitmqctl set_permissions; {RIGHTS_ADVICE}",
        )
    return None


def _match_login(
    chain: list[BaseException], text: str, setting: str
) -> ErrorCause | None:
    vhost = _join_texts(chain, NotAllowed)
    if vhost and "vhost" in text:
        return ErrorCause(
            KIND_LOGIN,
            _get_text(vhost),
            f"fix the virtual host in {setting}, or let the user in with "
            "rabbitmqctl set_permissions",
        )
    refused = _join_texts(chain, exceptions.AuthenticationError, AccessRefused)
    if refused or any(word in text for word in ("WRONGPASS", "NOAUTH")):
        is_required = "required" in text.lower() or "NOAUTH" in text
        why = "it wants a password" if is_required else "its user or password are wrong"
        return ErrorCause(
            KIND_LOGIN,
            why,
            f"write redis://USER:PASSWORD@HOST (or amqp://…) in {setting}, special "
            "characters percent-encoded",
        )
    return None


class TextRule(NamedTuple):
    """The cause of errors that contain one of `texts`, in lower case.

    `{why}` in `reason` is the library's own reason; `{setting}` in `advice` is the
    setting of the URL.
    """

    texts: tuple[str, ...]
    kind: str
    reason: str
    advice: str


MISMATCH_ADVICE = (
    "see whether that port speaks TLS: rediss:// and amqps:// in {setting} do, redis://"
    " and amqp:// do not"
)
CERTIFICATE_ADVICE = (
    "write ?ssl_certfile=FILE&ssl_keyfile=FILE in {setting}, or set broker_use_ssl in"
    " the project and give -A"
)

MISMATCH_RULE = TextRule(
    ("[ssl", "wrong version number"),
    KIND_TLS,
    "TLS does not match: {why}",
    MISMATCH_ADVICE,
)
TLS_RULES = (
    TextRule(
        ("certificate verify failed",),
        KIND_TLS,
        "its certificate is not trusted: {why}",
        "name the authority: ?ssl_ca_certs=FILE in {setting}, or broker_use_ssl",
    ),
    TextRule(
        ("certificate required", "handshake failure", "bad certificate"),
        KIND_TLS,
        "it wants a certificate of the client",
        CERTIFICATE_ADVICE,
    ),
    # TLS 1.3 reports a missing certificate after the handshake, or disconnects.
    TextRule(
        ("eof occurred in violation",),
        KIND_TLS,
        "it hung up during TLS; it may want a certificate of the client",
        f"see that the port speaks TLS, or {CERTIFICATE_ADVICE}",
    ),
    # A Redis without TLS waits for the end of the supposed command.
    TextRule(
        ("handshake operation timed out",),
        KIND_TLS,
        "no answer to TLS",
        MISMATCH_ADVICE,
    ),
    MISMATCH_RULE,
    TextRule(
        (
            *("connection closed by server", "connection reset by peer"),
            *("server closed", "unexpected frame"),
        ),
        KIND_OTHER,
        "it closes the connection at once",
        "if it speaks TLS, write rediss:// or amqps:// in {setting}",
    ),
)
"""The first that matches decides."""


def _match_tls(
    chain: list[BaseException], text: str, setting: str
) -> ErrorCause | None:
    low = text.lower().replace("_", " ")
    is_tls = _join_texts(chain, ssl.SSLError) is not None
    for rule in TLS_RULES:
        is_mismatch = rule is MISMATCH_RULE and is_tls
        if is_mismatch or any(one in low for one in rule.texts):
            reason = rule.reason.format(why=_choose_reason(low))
            return ErrorCause(rule.kind, reason, rule.advice.format(setting=setting))
    return None


def _choose_reason(low: str) -> str:
    found = re.search(r"(certificate verify failed[^(]*|\] [^(]*)", low)
    return (found[0].lstrip("] ").strip() if found else low)[:120]


def _match_absent(
    chain: list[BaseException], text: str, setting: str
) -> ErrorCause | None:
    low = text.lower()
    advice = f"start it, or fix {setting}"
    if "no such file" in low or _join_texts(chain, FileNotFoundError):
        return ErrorCause(KIND_ABSENT, "there is no such socket", advice)
    if _join_texts(chain, ConnectionRefusedError) or "connection refused" in low:
        return ErrorCause(
            KIND_ABSENT, "nothing listens there: connection refused", advice
        )
    return None


NAME_ERROR_TEXTS = (
    "name or service not known",
    "name resolution",
    "nodename nor servname",
)


def _match_name(
    chain: list[BaseException], text: str, setting: str
) -> ErrorCause | None:
    if _join_texts(chain, socket.gaierror) or any(
        word in text.lower() for word in NAME_ERROR_TEXTS
    ):
        return ErrorCause(
            KIND_UNKNOWN_NAME,
            "its name cannot be resolved",
            f"fix the host in {setting}",
        )
    return None


def _match_silent(
    chain: list[BaseException], text: str, setting: str
) -> ErrorCause | None:
    if _join_texts(chain, TimeoutError, exceptions.TimeoutError) or "timed out" in text:
        return ErrorCause(
            KIND_SILENT,
            "no answer in time",
            f"see that it runs, that no firewall is between, that {setting} is right, "
            "and that both sides speak TLS or neither does",
        )
    return None
