"""The causes of failures on the bad night."""

from typing import Any

from tests.support.browser.scripted_server import Frame


def list_causes(since: str, until: str) -> Frame:
    """Return the answer of `/api/v1/failures`, with hostile texts in it."""
    return {
        "window": "1h",
        "since": since,
        "until": until,
        "bin_seconds": 60,
        "count": 251,
        "retried": 12,
        "other": 3,
        "total": 3,
        "deployed_at": since,
        "failures": [
            make_cause(
                "0a1b2c3d4e5f",
                "sqlalchemy.exc.IntegrityError",
                "billing/charge.py:charge_card",
                "IntegrityError('duplicate key value violates \"orders_pkey\"')",
                214,
                since,
                until,
                new_since_deploy=True,
                versions=["4f1c2aa"],
            ),
            make_cause(
                "00aa00aa00aa",
                "billiard.exceptions.WorkerLostError",
                None,
                "WorkerLostError('Worker exited prematurely: signal 9 (SIGKILL)')",
                30,
                since,
                until,
                retried=12,
                new_since_deploy=False,
            ),
            make_cause(
                "ffffffffffff",
                "<script>alert(1)</script>" + "x" * 80,
                "\u202egnol/" + "very_long_folder_name_" * 4 + ".py:" + "f" * 60,
                "<img src=x onerror=alert(1)> " * 10,
                7,
                since,
                until,
                new_since_deploy=False,
            ),
        ],
    }


def make_cause(
    key: str,
    exception: str,
    frame: str | None,
    message: str,
    count: int,
    since: str,
    until: str,
    **more: Any,
) -> Frame:
    """Return a cause of the answer."""
    told = {} if frame is None else {"frame": frame}
    return {
        "id": key,
        "fingerprint": key,
        "exception": exception,
        **told,
        "message_example": message,
        "count": count,
        "first_seen": since,
        "last_seen": until,
        "names": {f"billing.capture_{k}": count - k for k in range(5)},
        "workers": ["mail@w1"],
        "task_example": "d1",
        "series": [(k * 7) % 11 if k > 20 else 0 for k in range(60)],
        **more,
    }
