"""Build the request that runs a schedule now. Pure except for the new id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from herald_core.errors import InvalidInput
from herald_core.model.schedules.spec import make_tag
from herald_core.model.tasks.views import TaskView
from herald_server.control.start.decision import StartRequest
from herald_server.control.start.send_options import SendOptions
from herald_server.control.start.stored_arguments import recover_arguments


def make_schedule_request(schedule: Mapping[str, Any]) -> StartRequest:
    """Return the start request of a run with the schedule's own arguments.

    Its tag names the schedule, so that it counts as a run. Raises `InvalidInput` if the
    arguments are not known whole.
    """
    shown = TaskView(id="", args=schedule.get("args"), kwargs=schedule.get("kwargs"))
    if shown.args is None or shown.kwargs is None:
        raise InvalidInput(
            f"the arguments of the schedule {schedule['name']!r} are not known: it"
            " computes or accepts any; start the task itself",
            "id",
        )
    args, kwargs = recover_arguments(shown)
    options = SendOptions(
        queue=schedule.get("queue"), tags=(make_tag(schedule["name"]),)
    )
    return StartRequest(
        task_type=schedule["task"],
        params=kwargs,
        args=args,
        options=options,
        task_id=str(uuid.uuid4()),
    )
