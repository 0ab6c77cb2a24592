"""What others call their tasks, queues and workers breaks out of no format."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clients.http import asking
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

ODD = [
    'a"} 1\nherald_evil 1\n#',
    "back\\slash\\",
    "line\nfeed\rreturn\x85\u2028",
    "\x1b[2Jescape\x00",
    "{curly},=\t'",
    "\u202eright to left \U0001f600",
]


async def test_names_break_out_of_no_label_of_a_metric(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        for number, name in enumerate(ODD):
            await server.tell("received", f"t{number}", name=name, queue=name)
            await server.tell("failed", f"t{number}", exception="E()")
        answer = await ask.get("/metrics")
        found = list(text_string_to_metric_families(answer.text))
    assert {family.name for family in found if "evil" in family.name} == set()
    failures = next(one for one in found if one.name == "herald_lately_failures")
    names = [sample.labels["name"] for sample in failures.samples]
    assert sorted(names) == sorted(ODD)
    for line in answer.text.split("\n"):
        assert re.match(r"#|(?:herald|celery)_\w+(?:\{.*\})? \S+$|$", line), line


async def test_names_break_out_of_no_event_of_a_stream(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        for number, name in enumerate(ODD):
            await server.tell("received", f"{number}{name}", name=name)
        async with ask.stream("GET", "/events") as answer:
            lines: list[str] = []
            async for line in answer.aiter_lines():
                lines.append(line)
                if line.startswith("data:") and '"put":[{' in line:
                    break
    heads = {line.partition(":")[0] for line in lines if line}
    assert heads <= {"retry", "event", "id", "data"}


async def test_names_come_into_no_header(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        for path in ("/api/v1/tasks/a%0D%0AX-Evil:%201", "/a%0D%0AX-Evil:1/b"):
            for method in ("GET", "POST", "DELETE"):
                answer = await ask.request(method, path)
                assert "x-evil" not in answer.headers
                assert answer.status_code in (404, 405)
