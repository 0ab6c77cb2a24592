"""The cause of a failure: one fingerprint, whatever does not matter."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.failures.cause import (
    FINGERPRINT_CHARS,
    MAX_EXAMPLE_CHARS,
    UNKNOWN_TYPE,
    describe_cause,
    make_fingerprint,
)
from herald_core.model.failures.tracebacks import LINKS

RECORDED = json.loads(
    (Path(__file__).parents[4] / "recordings" / "failures.json").read_text()
)
FINGERPRINTS = (
    *("e519f7295f97", "e519f7295f97", "d66deab333bf", "a23e25649cbe", "b8f22eabbf45"),
    *("ff2574c5715e", "c566dbbe733e", "f6b7d3ea1c72", "f6b7d3ea1c72", "d8dac4d1a7c9"),
    *("e519f7295f97", "e519f7295f97", "1fbdbe08942b", "42fba57ce383", "ddebd52861c4"),
    *("e519f7295f97", "e519f7295f97"),
)
"""Of `RECORDED`: stored failures are found by them, so they never change."""

CELERY = "/srv/venv/lib/python3.11/site-packages/celery/app/trace.py"
HEADER = "Traceback (most recent call last):\n"
CAUSE, CONTEXT = sorted(LINKS, reverse=True)

Call = tuple[str, str]
"""Path and function."""


def write_block(*calls: Call, raised: str, line: int = 10) -> str:
    frames = "".join(
        f'  File "{path}", line {line + n}, in {function}\n    {function}()\n'
        for n, (path, function) in enumerate(calls)
    )
    return f"{HEADER}{frames}{raised}\n"


def write_run(*calls: Call, raised: str = "ValueError: no", line: int = 10) -> str:
    return write_block((CELERY, "trace_task"), *calls, raised=raised, line=line)


CHARGE = ("/srv/app/shop/pay.py", "charge")


def find(
    *calls: Call, exception: str = "ValueError('no')", raised: str = "ValueError: no"
) -> str:
    return make_fingerprint(exception, write_run(*calls, raised=raised))


class TestRecorded:
    """Failures of real prefork workers of Celery 5.7."""

    @pytest.mark.parametrize(
        ("number", "exception", "frame"),
        [
            (0, "proj.deep.pay.PaymentError", "deep/pay.py:charge"),
            (2, "json.decoder.JSONDecodeError", "deep/pay.py:charge"),
            (3, "RuntimeError", "proj/tasks.py:chained"),
            (4, "Weird", "proj/tasks.py:weird"),
            (5, "billiard.exceptions.WorkerLostError", None),
            (6, "NotRegistered", None),
            (7, "billiard.exceptions.TimeLimitExceeded", None),
            (9, "billiard.exceptions.SoftTimeLimitExceeded", "proj/tasks.py:soft"),
            (12, "ExceptionGroup", "proj/tasks.py:group"),
            (13, "SyntaxError", "proj/tasks.py:bad"),
        ],
    )
    def test_the_exception_and_the_own_frame_are_found(
        self, number: int, exception: str, frame: str | None
    ) -> None:
        one = RECORDED[number]
        cause = describe_cause(one["exception"], one["traceback"])
        assert (cause.exception, cause.frame) == (exception, frame)

    def test_fingerprints_never_change(self) -> None:
        assert (
            tuple(
                make_fingerprint(one["exception"], one["traceback"]) for one in RECORDED
            )
            == FINGERPRINTS
        )

    def test_retries_and_the_failure_at_their_end_have_one_cause(self) -> None:
        causes = {
            make_fingerprint(one["exception"], one["traceback"])
            for one in RECORDED
            if one["exception"].startswith("PaymentError")
        }
        assert len(causes) == 1

    def test_both_reports_of_a_time_limit_have_one_cause(self) -> None:
        first, second = (
            make_fingerprint(one["exception"], one["traceback"])
            for one in RECORDED
            if one["traceback"] and "TimeLimitExceeded(1,)" in one["traceback"]
        )
        assert first == second


class TestSame:
    """What does not matter."""

    def test_a_deep_stack(self) -> None:
        calls = [(f"/srv/app/shop/pay{n}.py", "call") for n in range(200)]
        assert find(*calls, CHARGE) == find(CHARGE)

    def test_two_call_paths(self) -> None:
        a = find(("/srv/app/shop/tasks.py", "a"), CHARGE)
        b = find(("/srv/app/shop/tasks.py", "b"), ("/srv/app/x.py", "via"), CHARGE)
        assert a == b

    @given(line=st.integers(1, 100_000), number=st.integers())
    def test_lines_and_values(self, line: int, number: int) -> None:
        said = write_run(CHARGE, raised=f"ValueError: {number}", line=line)
        assert make_fingerprint(f"ValueError('{number}')", said) == find(CHARGE)

    @given(
        root=st.sampled_from(
            [
                "/srv/app",
                "/srv/releases/20260101120000",
                "/opt/shop-1.2.3",
                "/home/me/.pex/unzipped/0a1b2c3d4e5f6789",
                "C:/apps/v2",
                "",
            ]
        )
    )
    def test_the_place_of_the_installation(self, root: str) -> None:
        path = f"{root}/shop/pay.py"
        assert find((path, "charge")) == find(CHARGE)
        assert find((path.replace("/", "\\"), "charge")) == find(CHARGE)

    @pytest.mark.parametrize(
        "path",
        [
            "/usr/lib/python3.11/json/decoder.py",
            "/srv/venv/lib/python3.11/site-packages/requests/api.py",
            "/usr/lib/python3/dist-packages/psycopg2/extras.py",
            "C:\\Python311\\Lib\\json\\decoder.py",
            "C:\\venv\\Lib\\site-packages\\requests\\api.py",
            "/srv/eggs/foo-1.0-py3.11.egg/foo/x.py",
            "/src/celery/celery/app/task.py",
            "<frozen importlib._bootstrap>",
            "<string>",
        ],
    )
    def test_what_the_project_calls(self, path: str) -> None:
        assert find(CHARGE, (path, "call")) == find(CHARGE)

    def test_a_project_that_is_installed(self) -> None:
        site = "/srv/venv/lib/python3.11/site-packages"
        sentry = f"{site}/sentry_sdk/integrations/celery/__init__.py"
        mine, theirs = f"{site}/shop/pay.py", f"{site}/requests/api.py"
        calls = [(sentry, "_inner"), (mine, "charge"), (theirs, "get")]
        assert find(*calls) == find(CHARGE)

    def test_an_exception_in_another_process(self) -> None:
        remote = write_block(CHARGE, raised="ValueError: no")
        text = (
            f'concurrent.futures.process._RemoteTraceback: \n"""\n{remote}"""\n\n'
            f"{CAUSE}\n\n{write_run(raised='ValueError: no')}"
        )
        assert make_fingerprint("ValueError('no')", text) == find(CHARGE)


class TestDifferent:
    """What does matter."""

    def test_another_exception_function_or_module(self) -> None:
        found = {
            find(CHARGE),
            find(CHARGE, exception="KeyError('x')", raised="KeyError: 'x'"),
            find(("/srv/app/shop/pay.py", "refund")),
            find(("/srv/app/shop/tax.py", "charge")),
        }
        assert len(found) == 4

    def test_types_of_one_name_in_two_modules(self) -> None:
        a = find(CHARGE, exception="Timeout()", raised="requests.Timeout")
        b = find(CHARGE, exception="Timeout()", raised="redis.Timeout")
        assert a != b


class TestChained:
    """Of several exceptions, the outermost."""

    @pytest.mark.parametrize("link", [CAUSE, CONTEXT])
    def test_the_frames_of_the_last_exception_count(self, link: str) -> None:
        cause = write_block(("/srv/app/shop/db.py", "read"), raised="KeyError: 'x'")
        text = f"{cause}\n{link}\n\n{write_run(CHARGE)}"
        assert make_fingerprint("ValueError('no')", text) == find(CHARGE)

    def test_a_message_that_holds_a_traceback_is_a_message(self) -> None:
        said = write_block(("/srv/app/shop/other.py", "f"), raised="KeyError: 'x'")
        text = write_run(CHARGE, raised=f"ValueError: failed:\n{said}")
        assert make_fingerprint("ValueError('failed…')", text) == find(CHARGE)


class TestWithoutFrames:
    """The message decides, without what varies."""

    def test_numbers_ids_and_quoted_texts_do_not_matter(self) -> None:
        a = describe_cause("Lost('task 17 of \"x\" at 0xff')", None)
        b = describe_cause("Lost('task 4 of \"yy\" at 0x1a2b')", None)
        assert a.fingerprint == b.fingerprint
        assert (a.exception, a.frame) == ("Lost", None)

    def test_different_messages_differ(self) -> None:
        assert make_fingerprint("Lost('a')", None) != make_fingerprint(
            "Lost('b')", None
        )

    def test_text_of_another_language(self) -> None:
        text = "TypeError: x is undefined\n    at f (/srv/app/index.js:1:2)\n"
        cause = describe_cause("x is undefined", text)
        assert (cause.exception, cause.frame) == ("TypeError", None)

    def test_nothing_is_known(self) -> None:
        cause = describe_cause(None, None)
        assert (cause.exception, cause.message) == (UNKNOWN_TYPE, None)
        assert len(cause.fingerprint) == FINGERPRINT_CHARS


LINES = st.sampled_from(
    [
        HEADER.strip(),
        CAUSE,
        CONTEXT,
        '  File "/srv/app/a.py", line 1, in f',
        '  File "/srv/app/b.py", line 2',
        "    f()",
        "",
        "ValueError: x",
        "billiard.einfo.RemoteTraceback: ",
        '"""',
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "/srv/app/c.py", line 1, in g',
        "  | ExceptionGroup: two",
        "    | ValueError: a",
        "\r",
        "…",
    ]
)


class TestAnyText:
    """Hostile texts: an answer of bounded size, always the same."""

    @given(
        st.none() | st.text() | st.just("ValueError('x')"),
        st.none() | st.text() | st.lists(LINES, max_size=30).map("\n".join),
    )
    def test_every_text_has_a_cause(
        self, exception: str | None, traceback: str | None
    ) -> None:
        cause = describe_cause(exception, traceback)
        assert cause == describe_cause(exception, traceback)
        assert int(cause.fingerprint, 16) >= 0
        assert len(cause.fingerprint) == FINGERPRINT_CHARS
        assert len(cause.message or "") <= MAX_EXAMPLE_CHARS
        assert len(cause.exception) + len(cause.frame or "") <= 2_000

    @pytest.mark.parametrize(
        "part", ["a.", '  File "', "<locals>.", "'", "\n", "\\" * 3, "0x", "billiard."]
    )
    def test_a_megabyte_is_read_in_part(self, part: str) -> None:
        text = part * (1_000_000 // len(part))
        assert describe_cause(text, HEADER + text) == describe_cause(
            text, HEADER + text
        )
        run = write_run(CHARGE, raised=f"ValueError: {text}")
        assert describe_cause("ValueError('x')", run).frame == "shop/pay.py:charge"
