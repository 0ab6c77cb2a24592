"""`/openapi.json` describes every route, and every route answers as it says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks as common_checks
from schemathesis.specs.openapi import checks as openapi_checks

from herald_server.api.openapi.operations import OPERATIONS
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
QUICK_EXAMPLES = 2


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


def _make_check(operation: Any, base_url: str, examples: int) -> Callable[[], None]:
    """Return a test that sends `examples` requests for an operation."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        # No request is to wait for what does not come.
        for path, key in WAITS.items():
            if operation.path.endswith(path):
                case.query = {**(case.query or {}), key: 0}
        answer = case.call(base_url=base_url, headers=WITH_TOKEN, timeout=30)
        case.validate_response(answer, checks=CHECKS)

    return cast("Callable[[], None]", check)


def _check_all(herald: HeraldProcess, examples: int) -> None:
    problems: list[str] = []
    for result in _load(herald).get_all_operations():
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        try:
            _make_check(operation, herald.url.rstrip("/"), examples)()
        except Exception as error:
            problems.append(f"{operation.label}: {error}")
    assert not problems, "\n\n".join(problems)


def test_each_route_answers_as_the_document_says(herald: HeraldProcess) -> None:
    _check_all(herald, QUICK_EXAMPLES)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_ten_thousand_requests_find_nothing_undocumented(
    herald: HeraldProcess,
) -> None:
    _check_all(herald, SOAK_REQUESTS // len(OPERATIONS) + 1)


def test_streams_answer_as_the_document_says(herald: HeraldProcess) -> None:
    document = httpx2.get(f"{herald.url}openapi.json").json()
    for path in STREAMS:
        answers = document["paths"][path]["get"]["responses"]
        with httpx2.stream("GET", herald.url + path[1:], headers=WITH_TOKEN) as answer:
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in answers[str(answer.status_code)]["content"]
        answer = httpx2.get(f"{herald.url}{path[1:]}?topic=no", headers=WITH_TOKEN)
        assert str(answer.status_code) in answers
