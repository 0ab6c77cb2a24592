"""Wrong calls of every tool, and a part of the sentence that each is answered with."""

from typing import Any

LONG = "x" * 256
Case = tuple[dict[str, Any], str]

OPTIONS: list[Case] = [
    ({"priority": 256}, "priority must be a whole number from 0 to 255"),
    ({"priority": "high"}, "priority must be a whole number"),
    ({"countdown": -1}, "countdown must be a number of seconds from 0"),
    ({"countdown": 5, "eta": "2099-01-01T00:00:00Z"}, "countdown or eta, not both"),
    ({"eta": "tomorrow"}, "eta must be an RFC 3339 time"),
    ({"eta": "2026-01-31T12:00:00"}, "eta must be an RFC 3339 time with its offset"),
    ({"eta": "2999-01-01T00:00:00Z"}, "eta must be within a year"),
    ({"eta": "0001-01-01T00:00:00+23:59"}, "eta must be within a year"),
    ({"queue": ""}, "queue must be a text of 1 to 255"),
    ({"queue": LONG}, "queue must be a text of 1 to 255"),
]
TAGS: list[Case] = [
    ({"tags": [""]}, "tags must be a list of at most 20"),
    ({"tags": ["x" * 65]}, "tags must be a list of at most 20"),
    ({"tags": [str(n) for n in range(21)]}, "tags must be a list of at most 20"),
]
EXPIRES: list[Case] = [
    ({"expires": -5}, "expires must lie ahead"),
    ({"expires": "soon"}, "expires must be an RFC 3339 time"),
    ({"expires": 5, "countdown": 10}, "expires must be after the task's eta"),
]


def _with(base: dict[str, Any], *cases: list[Case]) -> list[Case]:
    return [({**base, **given}, part) for some in cases for given, part in some]


MEMBERS: list[Case] = [
    ({}, "tasks is missing"),
    ({"tasks": []}, "tasks must be a list of 1 to 500"),
    ({"tasks": "metrics_snapshot"}, "tasks must be a list of tasks, each as"),
    ({"tasks": [{"task_type": "nope"}]}, "unknown task type 'nope'"),
    ({"tasks": [{"type": "metrics_snapshot"}]}, "task 1: unknown key 'type'"),
    ({"tasks": [{"task_type": 5}]}, "task 1: task_type must be a text"),
    (
        {"tasks": [{"task_type": "metrics_snapshot", "params": [1]}]},
        "task 1: params must be an object",
    ),
    (
        {
            "tasks": [
                {"task_type": "metrics_snapshot"},
                {"task_type": "metrics_snapshot", "params": {"period_days": 0}},
            ]
        },
        "task 2: period_days must be at least 1",
    ),
    (
        {"tasks": [{"task_type": "resilience_crisis_activation"}]},
        "asks a person to confirm; start it alone",
    ),
    (
        {"tasks": [{"task_type": "metrics_snapshot"}] * 501},
        "tasks must be a list of 1 to 500",
    ),
]
ONE = {"tasks": [{"task_type": "metrics_snapshot"}]}
NO_ID: list[Case] = [
    ({}, "task_id is missing"),
    ({"task_id": " "}, "task_id must be a text of 1 to 255"),
    ({"task_id": LONG}, "task_id must be a text of 1 to 255"),
    ({"task_id": 7}, "task_id must be a task id"),
    ({"id": "t", "task_id": "t"}, "unknown argument 'id'"),
]
NO_GROUP: list[Case] = [
    ({}, "group_id is missing"),
    ({"group_id": ""}, "group_id must be a text of 1 to 255"),
    ({"group_id": ["g"]}, "group_id must be a group_id as start_task_group"),
    ({"group": "g"}, "did you mean group_id"),
]

START: list[Case] = [
    ({}, "task_type is missing"),
    ({"task_type": "metrics_snapsho"}, "did you mean metrics_snapshot?"),
    (
        {"task_type": "resilience_contingency", "params": {"days_ahead": "90"}},
        "days_ahead must be an integer",
    ),
    (
        {"task_type": "resilience_contingency", "params": {"days": 90}},
        "unknown parameter 'days'",
    ),
    (
        {
            "task_type": "resilience_crisis_activation",
            "params": {"reason": "x"},
            "confirm": True,
        },
        "severity parameter required for crisis activation",
    ),
    (
        {"task_type": "metrics_version_diff"},
        "run_id_1 and run_id_2 required for version diff",
    ),
    (
        {"task_type": "metrics_snapshot", "params": "days=3"},
        'params must be an object of parameters by name, such as {"days": 30}',
    ),
    (
        {"task_type": "metrics_snapshot", "period_days": 3},
        'belongs into params, as {"task_type": "metrics_snapshot", "params": {"peri',
    ),
    (
        {"task_type": "metrics_snapshot", "seconds": 3},
        "unknown argument 'seconds'; it takes: task_type, params, confirm",
    ),
    (
        {"task_type": "metrics_snapshot", "seconds": 3},
        "the parameters of the task itself belong into params",
    ),
]

WRONG: dict[str, list[Case]] = {
    "start_background_task": [
        *START,
        *_with(
            {"task_type": "metrics_snapshot"},
            OPTIONS,
            TAGS,
            EXPIRES,
            [
                ({"idempotency_key": ""}, "idempotency_key must be a text of 1 to 255"),
                (
                    {"idempotency_key": LONG},
                    "idempotency_key must be a text of 1 to 255",
                ),
                ({"prioritty": 1}, "did you mean priority"),
            ],
        ),
    ],
    "get_task_status": NO_ID,
    "cancel_task": [*NO_ID, ({"task_id": "t", "force": True}, "argument 'force'")],
    "wait_for_task": [
        *NO_ID,
        ({"task_id": "t", "timeout_s": 46}, "timeout_s must be a number of seconds"),
        ({"task_id": "t", "timeout_s": -1}, "from 0 to 45"),
        ({"task_id": "t", "timeout_s": "soon"}, "from 0 to 45"),
        ({"task_id": "t", "timeout": 5}, "did you mean timeout_s"),
    ],
    "get_task_result": [
        *NO_ID,
        ({"task_id": "t", "offset": -1}, "offset must be"),
        ({"task_id": "t", "most": 0}, "most must be"),
    ],
    "wait_for_group": [
        *NO_GROUP,
        ({"group_id": "g", "timeout_s": 46}, "timeout_s must be a number of seconds"),
    ],
    "list_active_tasks": [
        ({"task_type": "metrics_snapshots"}, "did you mean metrics_snapshot?"),
        ({"task_type": "nope"}, "available: resilience_health_check"),
        ({"task_type": 5}, "task_type must be the name of a task type"),
        ({"state": "started"}, "unknown argument 'state'"),
    ],
    "wait_for_changes": [
        ({"filter": {"stat": "FAILURE"}}, "did you mean 'state'?"),
        ({"filter": {"state": "FAILED"}}, "unknown state 'FAILED'"),
        ({"filter": {"ids": []}}, "ids is an empty list"),
        ({"filter": "name=x"}, "filter must be an object such as"),
        ({"cursor": "yesterday"}, "cursor must be one that wait_for_changes returned"),
        ({"timeout_s": 46}, "timeout_s must be a number of seconds from 0 to 45"),
        ({"newest": 501}, "newest must be a whole number from 0 to 500"),
        ({"since": "1-1"}, "unknown argument 'since'"),
    ],
    "list_tasks": [
        ({"state": "done"}, "unknown state 'done'; did you mean 'SUCCESS'?"),
        ({"state": "running"}, "unknown state 'running'; did you mean 'STARTED'?"),
        (
            {"after": "2026-02-01", "before": "2026-01-01"},
            "after is not earlier than before",
        ),
        ({"task_type": "nope"}, "unknown task type 'nope'"),
        ({"task_type": "metrics_snapshot", "name": "x"}, "name or task_type, not both"),
        ({"after": "monday"}, "after must be a time with its offset"),
        ({"before": "2026-01-31T12:00"}, "before must be a time with its offset"),
        ({"limit": 0}, "limit must be a whole number from 1 to"),
        ({"page": "two"}, "page"),
        ({"status": "failure"}, "unknown argument 'status'"),
    ],
    "get_task_history": NO_ID,
    "get_task_stats": [
        ({"hours": 0}, "hours must be a number of hours above 0"),
        ({"hours": "day"}, "hours must be a number of hours"),
        ({"task_type": "nope"}, "unknown task type"),
        ({"name": ""}, "name takes a text"),
    ],
    "explain_task": NO_ID,
    "retry_task": [
        *NO_ID,
        ({"task_id": "never"}, "nothing is known (any more) of task 'never'"),
        ({"task_id": "t", "kwargs": "a=1"}, "kwargs must be an object of parameters"),
        *_with({"task_id": "t"}, OPTIONS, EXPIRES),
    ],
    "start_task_group": [*MEMBERS, *_with(ONE, OPTIONS, TAGS, EXPIRES)],
    "start_task_chain": [*MEMBERS, *_with(ONE, OPTIONS, TAGS)],
    "get_group_status": NO_GROUP,
    "cancel_group": [
        *NO_GROUP,
        ({"group_id": "never"}, "nothing is known of a group with this id"),
    ],
    "list_workers": [
        ({"state": "busy"}, "state must be"),
        ({"state": 5}, "state must be"),
        ({"worker": "w"}, "unknown argument 'worker'"),
    ],
    "dismiss_worker": [
        ({}, "worker is missing"),
        ({"worker": "never@h"}, "no worker 'never@h' is known"),
        ({"worker": 5}, "worker must be"),
        ({"name": "w"}, "unknown argument 'name'"),
    ],
    "list_queues": [
        ({"queue": 5}, "queue must be"),
        ({"queue": ""}, "queue takes a text"),
        ({"name": "q"}, "unknown argument 'name'"),
    ],
    "list_failures": [
        ({"window": "2h"}, "window must be"),
        ({"name": 5}, "name must be"),
        ({"limit": 0}, "limit must be"),
    ],
    "mark_deploy": [
        ({}, "what is missing"),
        ({"what": " "}, "what must be a text of 1 to 200 printable characters"),
        ({"what": 5}, "what must be a valid string"),
        ({"what": "x", "at": "yesterday"}, "at must be a time with its offset"),
        ({"what": "x", "version": ""}, "version must be a text of 1 to 128"),
        ({"what": "x", "worker": "w"}, "unknown argument 'worker'"),
    ],
    "list_marks": [
        ({"mark": "m"}, "unknown argument 'mark'"),
        ({"page": "two"}, "page must be `next` of the answer before"),
        ({"name": "x"}, "unknown argument 'name'"),
    ],
    "compare_with_mark": [
        ({}, "no mark is known yet: set one with"),
        ({"mark": "never"}, "no mark 'never' is known"),
        ({"window": "1 week"}, "window must be a time such as 15m or 1h"),
        ({"name": 5}, "name must be"),
        ({"since": "m"}, "unknown argument 'since'"),
    ],
    "list_alerts": [
        ({"limit": 0}, "limit must be a whole number from 1 to"),
        ({"state": "broken"}, "state must be"),
        ({"rule": "gap"}, "unknown argument 'rule'"),
    ],
    "list_schedules": [
        ({"state": "broken"}, "state must be one of beat_silent, missed"),
        ({"state": 5}, "state must be"),
        ({"name": "nightly"}, "unknown argument 'name'"),
    ],
    "run_schedule": [
        ({}, "schedule is missing: give the id or name of a schedule"),
        ({"schedule": "never"}, "no schedule 'never' is known"),
        ({"schedule": 5}, "schedule must be"),
    ],
    "mark_schedule": [
        ({"schedule": "s"}, "action is missing"),
        ({"schedule": "never", "action": "mute"}, "no schedule 'never' is known"),
        ({"schedule": "s", "action": "pause"}, "action must be 'confirm', 'mute'"),
    ],
    "prepare_bulk_order": [
        ({}, "action is missing"),
        ({"action": "delete"}, "action must be 'retry' or 'cancel'"),
        ({"action": "retry", "ids": "t"}, "ids must be a list of task ids"),
        ({"action": "retry", "task_ids": ["t"]}, "did you mean ids?"),
    ],
    "confirm_bulk_order": [
        ({"action": "retry"}, "expect is missing: give the count of"),
        ({"action": "delete", "expect": 1}, "action must be 'retry' or 'cancel'"),
        ({"action": "retry", "expect": "all"}, "expect must be the count of"),
        ({"action": "retry", "expect": 1, "per_second": "x"}, "per_second must be"),
    ],
    "list_orders": [
        ({"limit": 0}, "limit must be a whole number from 1 to"),
        ({"state": "x"}, "unknown argument 'state'"),
        ({"id": "x"}, "unknown argument 'id'"),
    ],
    "stop_order": [
        ({}, "order_id is missing: give an order_id as list_orders"),
        ({"order_id": 5}, "order_id must be an order_id as list_orders"),
        ({"id": "x"}, "unknown argument 'id'"),
    ],
    "purge_queue": [
        ({"queue": "q"}, "expect_depth is missing: give the number of messages"),
        ({"queue": 5, "expect_depth": 1}, "queue must be the name of a queue"),
        ({"queue": "q", "expect_depth": "all"}, "expect_depth must be the number"),
    ],
    "get_worker": [
        ({}, "worker is missing: give a hostname as list_workers"),
        ({"worker": 5}, "worker must be a hostname"),
        ({"worker": "w@h", "window_s": 0}, "window_s must be"),
        ({"name": "w"}, "unknown argument 'name'"),
    ],
    "order_worker": [
        ({"worker": "w@h"}, "command is missing: give a command such as pool_grow"),
        ({"worker": 5, "command": "pool_grow"}, "worker must be a hostname"),
        (
            {"worker": "w@h", "command": "pool_grow", "params": 1},
            "params must be an object of parameters",
        ),
    ],
    "pause_queue": [
        ({}, "queue is missing: give the name of a queue"),
        ({"queue": 5}, "queue must be the name of a queue"),
        ({"name": "q"}, "unknown argument 'name'"),
    ],
    "resume_queue": [
        ({}, "queue is missing: give the name of a queue"),
        ({"queue": 5}, "queue must be the name of a queue"),
        ({"name": "q"}, "unknown argument 'name'"),
    ],
    "register_webhook": [
        ({}, "url is missing"),
        ({"url": "example.org"}, "url must be https://HOST/"),
        ({"url": "http://127.0.0.1/"}, "which is no public address"),
        ({"url": "http://8.8.8.8/", "on": "ended"}, "on takes final, states, updates"),
        ({"url": "http://8.8.8.8/", "filter": {"nme": 1}}, "did you mean 'name'?"),
        ({"url": "http://8.8.8.8/", "format": "xml"}, "format must be one of"),
    ],
    "list_webhooks": [
        ({"name": "x"}, "unknown argument 'name'"),
        ({"limit": 501}, "limit must be a whole number from 1 to"),
        ({"url": "http://8.8.8.8/"}, "unknown argument 'url'"),
    ],
    "delete_webhook": [
        ({}, "webhook_id is missing"),
        ({"webhook_id": "wh_never"}, "there is no webhook 'wh_never'"),
        ({"webhook_id": 5}, "webhook_id must be a valid string"),
    ],
    "list_task_types": [
        ({"name": "metrics_snapshots"}, "did you mean metrics_snapshot?"),
        ({"name": 5}, "name"),
        ({"type": "x"}, "unknown argument 'type'"),
    ],
}
