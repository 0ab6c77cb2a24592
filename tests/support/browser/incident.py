"""A bad night, as a server would tell it: for what the page makes of trouble."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.browser import incident_worker
from tests.support.browser.incident_failures import list_causes
from tests.support.browser.periodic_tasks import make_schedules
from tests.support.browser.scripted_server import Frame, ScriptedServer

NOW = datetime.now(UTC)


def at(seconds: float) -> str:
    """Return the time so many seconds ago."""
    when = NOW - timedelta(seconds=seconds)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task(key: str, name: str, state: str, age: float, **more: Any) -> Frame:
    """Return a task that was received `age` seconds ago."""
    since = at(age)
    known = {"id": key, "name": name, "state": state, "received_at": since}
    started = {"started_at": since} if state != "RECEIVED" else {}
    return {**known, **started, "updated_at": since, "worker": "mail@w1", **more}


RUNNING = [
    task("r1", "reports.build_year", "STARTED", 9_240, progress={"percent": 41}),
    task("r2", "mail.send_digest", "STARTED", 312, worker="mail@w2"),
    task("r3", "reports.build_month", "STARTED", 58, progress={"percent": 80}),
    task("r4", "mail.send_one", "STARTED", 2),
]
LOST = [task("l1", "billing.capture", "LOST", 1_900, reason="no worker knows it")]
DONE = [
    task(f"d{k}", name, state, 3 + k, runtime=0.4 + k, final=True)
    for k, (name, state) in enumerate(
        [
            ("mail.send_one", "SUCCESS"),
            ("billing.capture", "FAILURE"),
            ("mail.send_one", "SUCCESS"),
            ("billing.refund", "REVOKED"),
            ("mail.send_one", "RETRY"),
            ("search.index_page", "SUCCESS"),
        ]
    )
]
GAPS = [
    {
        "id": "2",
        "since": at(1_500),
        "until": at(1_440),
        "reason": "the broker was away",
        "state": "closed",
        "missing": 14,
        "repaired": 9,
    }
]
WORKERS = [
    {
        "id": host,
        "hostname": host,
        "state": state,
        "pid": 4_100 + k,
        "active": active,
        "processed": 5_200 * (k + 1),
        "software": "py-celery 5.7.0",
        "started_at": at(86_400 * 3 - k * 85_000),
        "last_heartbeat_at": at(heard),
    }
    for k, (host, state, active, heard) in enumerate(
        [
            ("mail@w1", "online", 3, 1),
            ("mail@w2", "online", 1, 0),
            ("reports@w3", "silent", 2, 94),
            ("search@w4", "draining", 1, 2),
            ("old@w0", "offline", 0, 4_000),
        ]
    )
]
QUEUES: list[Frame] = [
    {"depth": 3, "oldest_at": at(2), "in_per_minute": 120.0, "out_per_minute": 118.0,
     "drain_seconds": 0.0, "consumers": ["mail@w1", "mail@w2"], "name": "mail"},
    {"depth": 1_284, "oldest_at": at(2_460), "in_per_minute": 31.2, "name": "billing",
     "out_per_minute": 0.0, "consumers": []},
    {"depth": 214, "oldest_at": at(372), "in_per_minute": 12.0, "name": "reports",
     "out_per_minute": 20.0, "drain_seconds": 1_605.0, "consumers": ["reports@w3"]},
    {"depth": 0, "in_per_minute": 0.0, "out_per_minute": 0.0, "name": "search",
     "consumers": ["search@w4"]},
]  # fmt: skip
COUNTS = {"PENDING": 1_284, "RECEIVED": 8, "STARTED": 4, "RETRY": 1, "SUCCESS": 98_211,
          "FAILURE": 412, "REVOKED": 7, "LOST": 1}  # fmt: skip
FAILING = [
    {"name": "billing.capture", "failed": 19, "ended": 44, "rate": 0.4318,
     "normal": 0.0121, "normal_ended": 9_100, "unusual": True},
    {"name": "mail.send_one", "failed": 3, "ended": 590, "rate": 0.0051,
     "normal": 0.0049, "normal_ended": 80_000},
]  # fmt: skip
SUSPECTS = [
    {"why": "silent", "task": RUNNING[2], "spent": 58.0},
    {"why": "long", "task": RUNNING[0], "spent": 9_240.0, "p99": 1_310.0},
    {"why": "lost", "task": LOST[0]},
]


def series(window: str = "1h") -> Frame:
    """Return an hour of minutes, or a day of tens of them, with a dent where the
    broker was away and failures at the end."""
    count, step = (60, 60) if window == "1h" else (144, 600)
    bins: list[Frame] = []
    for k in range(count):
        back = (count - 1 - k) * step
        away = 1_440 <= back <= 1_500
        done = 0 if away else (112 + 17 * k % 41) * step // 60
        failed = 0 if away else (4 if back < 300 else k % 7 // 5) * step // 60
        took = {"p50": 0.4 + k % 9 / 30, "p95": 3.1 + k % 5 / 2, "p99": 11.0}
        counts = {} if away else {"succeeded": done, "failed": failed}
        told = {} if away else {"runtime": took}
        bins.append({"at": at(back), "counts": counts, **told})
    gap = GAPS[0]
    marks = [
        {"at": gap["since"], "until": gap["until"], "kind": "gap", "state": "closed",
         "what": gap["reason"]},
        {"at": at(2_100), "kind": "worker_started", "what": "search@w4"},
        {"at": at(94), "kind": "worker_silent", "what": "reports@w3"},
        *({"id": m["id"], "at": m["at"], "kind": m["kind"], "what": m["what"]}
          for m in MARKS),
    ]  # fmt: skip
    return {"window": window, "since": at(count * step), "until": at(0), "whole": True,
            "bin_seconds": step, "bins": bins, "marks": marks}  # fmt: skip


HEALTH: Frame = {
    "status": "ok",
    "node": "n1",
    "cursor": "1700000000000-12",
    "connections": 2,
    "watchers": 3,
    "resets": 0,
    "resets_by_reason": {"slow": 1},
    "push": {"p50_ms": 4, "p95_ms": 9, "p99_ms": 14, "count": 812,
             "window_seconds": 300},
    "event_lag_ms": 12,
    "last_event_at": at(0.4),
    "store": {"reachable": True, "servers": [
        {"id": "s", "name": "redis://store", "server": "Valkey 9.1.2",
         "used": 412_000_000, "policy": "noeviction"}]},
    "backend": {"kind": "redis", "name": "redis://backend", "can_ask": True,
                "says": "results are read in blocks, and heard as they are stored"},
    "repairs": {"repaired": 9, "found": 2, "lost": 1, "gaps_closed": 1},
    "gaps_last_hour": {"count": 1, "open": 0, "missing": 14, "repaired": 9},
    "monitors": [{"id": "m1", "started_at": at(90_000), "seen_at": at(0.2),
                  "connected": True, "connected_since": at(90_000), "broker": "redis://broker:6379/0",
                  "reconciling": True, "counters": {"events": 90_211, "poison": 1},
                  "samples": ["{'type': 'task-sent'} has no uuid"]}],
    "gaps": GAPS,
}  # fmt: skip


TYPES = {
    "types": [
        {"name": "mail.send_one", "counts": {"started": 900, "succeeded": 890,
                                             "failed": 5, "retried": 5},
         "failure_rate": 0.0056, "runtime": {"p50": 0.4, "p95": 1.2, "p99": 3.0}},
        {"name": "billing.capture", "task_type": "capture", "description": "Capture",
         "counts": {"started": 40, "failed": 19}, "failure_rate": 0.43},
    ],
    "allowed_names": [],
    "since": at(86_400),
    "until": at(0),
    "whole": True,
}  # fmt: skip
MARKS: list[Frame] = [
    {"id": "m2", "at": at(1_500), "kind": "release", "what": "release 3e0b → 4f1c on "
     "12 workers", "version": "4f1c", "before": "3e0b", "workers": 12},
    {"id": "m1", "at": at(3_000), "kind": "deploy", "what": "<b>deploy</b> 3e0b",
     "who": "ci"},
]  # fmt: skip
COMPARISON: Frame = {
    "name": "billing.capture", "runtime": "slower", "failures": "more",
    "before": {"ended": 420, "failed": 9, "runs": 411, "per_minute": 7.0,
               "failure_rate": 0.0214, "p50": 0.41, "p95": 1.1},
    "after": {"ended": 190, "failed": 82, "runs": 108, "per_minute": 7.6,
              "failure_rate": 0.4316, "p50": 1.3, "p95": 4.5},
    "p50_ratio": 3.17, "p95_ratio": 4.09,
}  # fmt: skip
PERIODS: Frame = {
    "mark": MARKS[0],
    "before": {"since": at(5_100), "until": at(1_500)},
    "after": {"since": at(1_440), "until": at(0)},
    "message": "billing.capture median ≈ 410 ms → ≈ 1.3 s: slower since release 4f1c.",
}
SLOWER: Frame = {**PERIODS, "slower": [COMPARISON], "failing_more": [COMPARISON],
          "counts": {"slower": 1, "similar": 6}, "whole": True}  # fmt: skip
GROUP = {"group_id": "g1", "total": 500, "finished": 498, "done": False,
         "whole": True, "percent": 99.6, "tasks_whole": False, "message": "",
         "counts": {"STARTED": 2, "SUCCESS": 497, "LOST": 1}}  # fmt: skip
LOOSE = {"group_id": "g2", "total": 3_302, "finished": 3_302, "done": False,
         "whole": False, "tasks_whole": False,
         "message": "3,302 of at least 3,302 have ended, 0 of them without success.",
         "counts": {"SUCCESS": 3_302}}  # fmt: skip
GROUPS = {
    "groups": [{**one, "names": ["mail.send_one"], "newest_at": at(2)}
               for one in (GROUP, LOOSE)],
    "searched": 11,
    "whole": True,
}  # fmt: skip
WEBHOOKS = {
    "webhooks": [
        {"id": "w1", "url": "https://example.org/hooks", "on": ["FAILURE"],
         "filter": {"name": ["reports.*"]}, "behind": 3, "waiting": 2, "accepted": 90,
         "failed": 12, "dead": 4, "given_up": 4, "breaker": "open",
         "last_success_at": at(50), "last_error": "503"},
        {"id": "w2", "url": "https://example.org/gone", "on": "final", "behind": 0,
         "waiting": 0, "accepted": 1, "failed": 1, "dead": 0, "breaker": "closed",
         "disabled_at": at(9), "disabled_why": "410 Gone"},
    ],
}  # fmt: skip
TOKENS = {
    "tokens": [{"id": "k1", "name": "owner/page", "scopes": ["read"],
                "only": [{"name": ["reports.*"]}], "minted_at": at(60),
                "expires_at": at(-840)}],
}  # fmt: skip
ORDERS = {
    "orders": [
        {"at": at(4), "who": "owner", "what": "cancel", "target": "r1",
         "name": "reports.build_year", "outcome": "revoked", "address": "127.0.0.1"},
        {"at": at(60), "who": "owner", "what": "mint", "target": "k1"},
    ],
}  # fmt: skip
PAGE = {
    "caller": {"name": "owner", "scopes": ["admin", "read"], "narrowed": False},
    "links": [{"label": "Logs", "url": "https://logs.example.org/?query={id}"}],
}
TREE = {
    "task_id": "r1",
    "root": "r1",
    "whole": True,
    "tasks": [RUNNING[0], task("r9", "reports.load", "SUCCESS", 9_000, parent_id="r1",
                               final=True, runtime=3.0)],
}  # fmt: skip
ATTEMPTS = [
    {"attempt": 1, "state": "RETRY", "worker": "mail@w1", "received_at": at(9_300),
     "started_at": at(9_290), "finished_at": at(9_280), "exception": "Busy()"},
    {"attempt": 2, "state": "STARTED", "worker": "mail@w1", "received_at": at(9_270),
     "started_at": at(9_240)},
]  # fmt: skip


def overview() -> Frame:
    """Return the answer of `/api/v1/overview`."""
    return {
        "as_of": at(0),
        "health": HEALTH,
        "counts": COUNTS,
        "total": sum(COUNTS.values()),
        "workers": WORKERS,
        "queues": QUEUES,
        "failing": FAILING,
        "suspects": SUSPECTS,
        "suspects_total": len(SUSPECTS),
        "suspects_counts": {"silent": 1, "long": 1, "lost": 1},
        "suspects_whole": True,
        "running": RUNNING,
        "running_total": len(RUNNING),
        "series": series(),
    }


SCHEDULES = make_schedules(at)


def told(*items: Frame) -> Frame:
    """Return a whole snapshot of these."""
    return {"reset": "new", "put": list(items), "cursor": "7-1"}


def begin(server: ScriptedServer) -> None:
    """Let `server` tell of the night."""
    counts = [{"id": state, "count": n} for state, n in COUNTS.items()]
    everything = told(*RUNNING, *LOST, *DONE)
    server.answers |= {
        "counts": told(*counts),
        "workers": told(*WORKERS),
        "queues": told(*({"id": q["name"], **q} for q in QUEUES)),
        "schedules": told(*SCHEDULES),
        "running": told(*RUNNING),
        "tasks": everything,
        "feed": everything,
        "panel": told(RUNNING[0]),
        "page": told(RUNNING[0]),
        "group": told(*RUNNING),
        "worker-orders": told(incident_worker.order("acknowledged")),
    }
    server.greetings = [
        {"type": "status", "stale": False, "gaps": GAPS, "lag_ms": 12},
    ]
    server.rest |= {
        "api/v1/overview": overview(),
        "api/v1/health": HEALTH,
        "api/v1/stats/series": lambda query: series(query.get("window", "1h")),
        "api/v1/tasks/r1": {**RUNNING[0], "attempts": ATTEMPTS},
        "api/v1/tasks/r1/tree": TREE,
        "api/v1/page": PAGE,
        "api/v1/types": TYPES,
        "api/v1/failures": list_causes(at(3_000), at(4)),
        "api/v1/types/billing.capture/compare": {**PERIODS, "comparison": COMPARISON},
        "api/v1/marks": {"marks": MARKS},
        "api/v1/slower": SLOWER,
        "api/v1/groups": GROUPS,
        "api/v1/groups/g1": GROUP,
        "api/v1/groups/g2": LOOSE,
        "api/v1/schedules": {"schedules": SCHEDULES, "sources": {}},
        "api/v1/webhooks": WEBHOOKS,
        "api/v1/tokens": TOKENS,
        "api/v1/audit": ORDERS,
        "api/v1/tasks": {"tasks": [*RUNNING, *LOST, *DONE]},
        **incident_worker.answers(NOW),
    }
