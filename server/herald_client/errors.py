"""Errors that the client raises. The text of each is one sentence.

HeraldError
├── BadInput                       the URL, token or filter is invalid
└── ClientError
    ├── Unreachable                no Herald server answers at the URL
    ├── AccessRefused              the server refused the token, the host or the origin
    ├── ServerProblem              the server could not carry out the request
    │   └── ConfirmationNeeded     the user must confirm it first
    └── TaskNotFinished            a wait ended before the task did
        ├── TimedOut               its timeout has passed
        └── RecordExpired          the record of the task expired
"""

from __future__ import annotations

from herald_core.errors import HeraldError
from herald_core.model.tasks.views import TaskView


class ClientError(HeraldError):
    """An error between a program and its Herald server."""


class Unreachable(ClientError):
    """No server answers at the URL, or it is not a Herald server."""


class AccessRefused(ClientError):
    """The server refused the token, the host or the origin.

    `code` is the HTTP status (401, 403, …) or the close code (4401, 4403, …).
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ServerProblem(ClientError):
    """The server answered, but could not carry out the request.

    `code` is the HTTP status (404, 503, …) or the error code of the protocol
    (`too_broad`, `bad_filter`, …).
    """

    def __init__(self, message: str, code: int | str) -> None:
        super().__init__(message)
        self.code = code


class ConfirmationNeeded(ServerProblem):
    """The user must confirm first; `str()` is the question.

    Send the same request with `confirmation` once the user has agreed.
    """

    def __init__(self, question: str, code: int, confirmation: str) -> None:
        super().__init__(question, code)
        self.confirmation = confirmation


class TaskNotFinished(ClientError):
    """A wait ended before the task did. `task` is its last known state."""

    def __init__(self, message: str, task: TaskView) -> None:
        super().__init__(message)
        self.task = task


class TimedOut(TaskNotFinished, TimeoutError):
    """The timeout of a wait has passed."""


class RecordExpired(TaskNotFinished):
    """The task's record expired before its outcome was known."""
