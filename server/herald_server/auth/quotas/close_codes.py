"""Close codes of a WebSocket (RFC 6455 §7.4).

Below 4400: reconnect and resume. From 4400: fix the request first.
"""

from __future__ import annotations

NORMAL = 1000
SLOW_CLIENT = 4008
CONNECTION_LIMIT = 4009
STATE_TOO_OLD = 4013
FIRST_FATAL_CLOSE_CODE = 4400
"""The first of the codes after which the client must be corrected."""
BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
BAD_PROTOCOL = 4406
AUTH_TIMEOUT = 4408
RATE_LIMITED = 4429

MEANINGS = (
    (str(NORMAL), "done", ""),
    ("1012", "the server restarts; `bye` says when to reconnect", "resume"),
    (str(SLOW_CLIENT), "too slow", "resume"),
    (str(CONNECTION_LIMIT), "connection limit of this process", "reconnect later"),
    (str(STATE_TOO_OLD), "this process is behind your cursor", "resume"),
    (str(BAD_MESSAGE), "too many invalid messages in a row", "fix"),
    (str(UNAUTHENTICATED), "no valid token", "fix"),
    (str(FORBIDDEN), "a token without permission to read", "fix"),
    (str(BAD_PROTOCOL), "unknown subprotocol", "fix"),
    (str(AUTH_TIMEOUT), "no token within 10 s", "fix"),
    (str(RATE_LIMITED), "too many subscribes", "fix"),
)
"""What the codes mean, and what a client does then."""
