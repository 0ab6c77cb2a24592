"""What the client raises, as one small tree. The text of each is one sentence.

HeraldError
├── BadInput            a URL, token or filter that makes no sense
└── ClientError
    ├── Unreachable     nobody answers, or it is no Herald
    ├── Refused         the server turned us away: mend the token or the host
    ├── ServerProblem   the server answered, but cannot do what was asked
│   └── ConfirmationNeeded … before a person has agreed to it
    └── NoEnding        `wait` ends without an ending
        ├── TimedOut    … because the time was over
        └── Forgotten   … because the task's record ran out
"""

from __future__ import annotations

from herald_monitor.errors import HeraldError
from herald_monitor.model.shape import TaskImage


class ClientError(HeraldError):
    """Something that went wrong between a program and its Herald."""


class Unreachable(ClientError):
    """Nobody answers at the URL, or it is no Herald."""


class Refused(ClientError):
    """The server turned us away.

    `code` is the HTTP status (401, 403, …) or the close code (4401, 4403, …).
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ServerProblem(ClientError):
    """The server answered, but cannot do what was asked.

    `code` is the HTTP status (404, 503, …) or the word of the protocol
    (`too_broad`, `bad_filter`, …).
    """

    def __init__(self, message: str, code: int | str) -> None:
        super().__init__(message)
        self.code = code


class ConfirmationNeeded(ServerProblem):
    """A person has to agree first; `str()` is the question to ask them.

    The same order with `confirmation` carries their yes.
    """

    def __init__(self, question: str, code: int, confirmation: str) -> None:
        super().__init__(question, code)
        self.confirmation = confirmation


class NoEnding(ClientError):
    """A wait that ends without the task's ending. `task` is what was known last."""

    def __init__(self, message: str, task: TaskImage) -> None:
        super().__init__(message)
        self.task = task


class TimedOut(NoEnding, TimeoutError):
    """The time to wait is over."""


class Forgotten(NoEnding):
    """The task's record ran out before anybody could tell how it ended."""
