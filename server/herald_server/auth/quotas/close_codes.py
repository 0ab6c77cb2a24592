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
