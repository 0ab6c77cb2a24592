"""`/openapi.json` describes every route, and every route answers as it says."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis import checks as common_checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.support.clients.http import WITH_TOKEN
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey

CHECKS: list[Any] = [
    cast(Any, common_checks).not_a_server_error,
    cast(Any, openapi_checks).status_code_conformance,
    cast(Any, openapi_checks).content_type_conformance,
    cast(Any, openapi_checks).response_schema_conformance,
]
STREAMS = ("/events",)
"""Paths whose answers do not end."""

WAITS = {"/wait": "timeout", "/orders": "wait"}
"""Ends of paths that wait, and the parameter that bounds it."""

SOAK_REQUESTS = 10_000
SOAK_EXAMPLES = 60
QUICK_EXAMPLES = 2
"""Requests of each kind for one operation, right and wrong ones."""


@pytest.fixture(scope="module")
def herald(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeraldProcess]:
    log: Path = tmp_path_factory.mktemp("openapi") / "up.log"
    up = HeraldProcess(
        *(log, "up", "--broker", module_valkey.url),
        HERALD_CPU_PER_TOKEN="0",
        HERALD_CPU_PER_ADDRESS="0",
        HERALD_STARTS_PER_MINUTE="0",
    )
    up.start()
    yield up
    up.stop()


def _load(herald: HeraldProcess) -> Any:
    document = httpx2.get(f"{herald.url}openapi.json").json()
    assert document["openapi"].startswith("3.1")
    return schemathesis.openapi.from_dict(document)


def _make_check(
    operation: Any,
    mode: GenerationMode,
    base_url: str,
    examples: int,
    round_: int,
    sent: Counter[int],
) -> Callable[[], None]:
    """Return a test that sends requests for an operation, and counts in `sent`."""

    @seed(round_)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        # No request is to wait for what does not come.
        for path, key in WAITS.items():
            if operation.path.endswith(path):
                case.query = {**(case.query or {}), key: 0}
        answer = case.call(base_url=base_url, headers=WITH_TOKEN, timeout=30)
        sent[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    return cast("Callable[[], None]", check)


def _check_all(herald: HeraldProcess, examples: int, round_: int) -> Counter[int]:
    """Send requests for all operations, right and wrong ones; return their statuses."""
    problems: list[str] = []
    sent: Counter[int] = Counter()
    for result in _load(herald).get_all_operations():
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        for mode in GenerationMode:
            url = herald.url.rstrip("/")
            check = _make_check(operation, mode, url, examples, round_, sent)
            try:
                check()
            except Unsatisfiable:
                pass  # It takes nothing that could be wrong.
            except Exception as error:
                problems.append(f"{operation.label} ({mode.value}): {error}")
    assert not problems, "\n\n".join(problems)
    return sent


def test_each_route_answers_as_the_document_says(herald: HeraldProcess) -> None:
    _check_all(herald, QUICK_EXAMPLES, 0)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_ten_thousand_requests_find_nothing_undocumented(
    herald: HeraldProcess,
) -> None:
    sent: Counter[int] = Counter()
    for round_ in count():
        sent += _check_all(herald, SOAK_EXAMPLES, round_)
        print(f"round {round_}: {sent.total()} requests, {dict(sent)}")
        if sent.total() >= SOAK_REQUESTS:
            break


def test_streams_answer_as_the_document_says(herald: HeraldProcess) -> None:
    document = httpx2.get(f"{herald.url}openapi.json").json()
    for path in STREAMS:
        answers = document["paths"][path]["get"]["responses"]
        with httpx2.stream("GET", herald.url + path[1:], headers=WITH_TOKEN) as answer:
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in answers[str(answer.status_code)]["content"]
        answer = httpx2.get(f"{herald.url}{path[1:]}?topic=no", headers=WITH_TOKEN)
        assert str(answer.status_code) in answers
