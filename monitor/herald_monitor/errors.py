"""Everything that Herald raises on purpose, as one small tree.

    HeraldError              say the sentence, exit 1
    ├── BadEvent             an event that cannot be read; set aside, never fatal
    ├── BadInput             somebody asked for something that makes no sense
    │   ├── BadFilter        … in a filter
    │   │   └── TooManyValues  … in a filter that is longer than may be
    │   └── BadCursor        … as a cursor or a page token
    ├── NotRead              an event that was passed on unread cannot be read there
    └── StoreError           the store answered, but not as it must
        ├── StoreUnreachable it did not answer
        └── StoreUnfit       wrong version, policy or role

The text of each is one sentence for a person: what is wrong, and what to do.
"""


class HeraldError(Exception):
    """Something that Herald can say in one sentence."""


class BadEvent(HeraldError):
    """An event that cannot be read."""


class NotRead(HeraldError):
    """An event that was passed on unread cannot be read there."""


class BadInput(HeraldError):
    """Input that makes no sense; `param` names the place, where there is one."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param


class BadFilter(BadInput):
    """A filter that cannot be meant."""


class TooManyValues(BadFilter):
    """A filter with more values of one key than may be."""


class BadCursor(BadInput):
    """Text that is no cursor, or no page token."""


class StoreError(HeraldError):
    """The store answered, but not as it must."""


class StoreUnreachable(StoreError):
    """The store does not answer."""


class StoreUnfit(StoreError):
    """The store has the wrong version, policy or role."""
