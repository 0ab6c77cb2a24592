"""The exceptions that Herald raises, as one small tree.

    HeraldError              the command prints the message and exits with 1
    ├── InvalidEvent         an invalid event; it is quarantined, never fatal
    ├── EventDecodeError     an event with a decoded header cannot be decoded
    ├── InvalidInput         a caller sent an invalid value
    │   ├── InvalidFilter    … in a filter
    │   │   └── TooManyValues  … in a filter above the maximum length
    │   ├── InvalidQuery     … in the text of a query
    │   └── InvalidCursor    … as a cursor or a page token
    ├── UnsupportedByBroker  this kind of broker cannot do it, now or later
    └── StoreError           the store returned an unexpected answer
        ├── StoreUnreachable the store did not answer
        ├── StoreUnwritable  the store takes no writes now: full, a replica
        └── StoreUnsupported the store has the wrong version, policy or role

The message of each is one sentence for a person: what is wrong, and what to do.
"""


class HeraldError(Exception):
    """An error with a message of one sentence for a person."""


class InvalidEvent(HeraldError):
    """An event that cannot be read."""


class EventDecodeError(HeraldError):
    """An event that was passed on unread cannot be read there."""


class InvalidInput(HeraldError):
    """Input that makes no sense; `param` names the place, where there is one."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param


class InvalidFilter(InvalidInput):
    """A filter that cannot be meant."""


class TooManyValues(InvalidFilter):
    """A filter with more values of one key than may be."""


class InvalidQuery(InvalidInput):
    """A query text that cannot be meant.

    `position` is the place of the mistake, in characters from 0. `suggestion` is a text
    that may replace it, or empty.
    """

    def __init__(self, message: str, position: int = 0, suggestion: str = "") -> None:
        super().__init__(message, "q")
        self.position = position
        self.suggestion = suggestion


class InvalidCursor(InvalidInput):
    """Text that is no cursor, or no page token."""


class UnsupportedByBroker(HeraldError):
    """This kind of broker cannot carry what was asked for."""


class StoreError(HeraldError):
    """The store answered, but not as it must."""


class StoreUnreachable(StoreError):
    """The store does not answer."""


class StoreUnwritable(StoreError):
    """The store answers, but takes no writes at the moment, whatever they are."""


class StoreUnsupported(StoreError):
    """The store has the wrong version, policy or role."""
