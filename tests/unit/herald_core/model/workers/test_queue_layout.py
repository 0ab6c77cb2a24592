"""What binding tables tell of a project's options, and what is concluded."""

import pytest

from herald_core.model.workers.queue_layout import (
    QueueLayout,
    choose_layout,
    read_layouts,
    read_separator,
)

SEP = "\x06\x16"
OURS = QueueLayout("", "celery", SEP)


def table(
    prefix: str = "", exchange: str = "celery", sep: str = SEP, host: str = "w1@h"
) -> dict[str, list[str]]:
    """Return the binding table that a worker leaves."""
    key = f"{prefix}_kombu.binding.{exchange}.pidbox"
    return {key: [f"{sep}{sep}{host}.{exchange}.pidbox"]}


@pytest.mark.parametrize("sep", [SEP, ":", "::", "|", "--"])
@pytest.mark.parametrize("prefix", ["", "shop:", "{a}_"])
@pytest.mark.parametrize("exchange", ["celery", "my.exchange"])
def test_a_worker_leaves_what_no_url_carries(
    sep: str, prefix: str, exchange: str
) -> None:
    [found] = read_layouts(table(prefix, exchange, sep))
    assert found == QueueLayout(prefix, exchange, sep, ("w1@h",))
    taken = choose_layout([found], OURS, learns=True)
    assert (taken.found, taken.problem) == (found, "")


def test_other_tables_and_members_tell_nothing() -> None:
    others = {
        "_kombu.binding.reply.celery.pidbox": [f"{SEP}{SEP}x.reply.celery.pidbox"],
        "_kombu.binding.celery": [f"rk{SEP}{SEP}celery", "", "x"],
        "_kombu.binding.celery.pidbox": ["", "x", f"{SEP}{SEP}no-worker"],
        "something else": ["x"],
    }
    assert read_layouts(others) == []
    assert read_separator("abc") == ""
    assert choose_layout([], OURS, learns=True) == choose_layout([], OURS, learns=False)


def test_the_own_layout_is_the_one_among_others() -> None:
    layouts = read_layouts({**table("a:"), **table(), **table("b:")})
    found = choose_layout(layouts, OURS, learns=True).found
    assert found is not None
    assert found.prefix == ""


def test_several_others_are_named_and_none_is_taken() -> None:
    verdict = choose_layout(
        read_layouts({**table("a:"), **table("b:")}), OURS, learns=True
    )
    assert verdict.found is None
    assert "--transport-option global_keyprefix=a:" in verdict.problem
    assert "--transport-option global_keyprefix=b:" in verdict.problem
    assert "or -A PROJECT" in verdict.problem


def queues(prefix: str, *members: str) -> dict[str, list[str]]:
    return {f"{prefix}_kombu.binding.celery": list(members)}


def test_another_control_exchange_hides_no_queue() -> None:
    others = {**table(exchange="x"), **table(exchange="y")}
    assert choose_layout(read_layouts(others), OURS, learns=True).problem == ""
    assert (
        choose_layout(read_layouts(table(exchange="x")), OURS, learns=False).problem
        == ""
    )


def test_queues_tell_how_they_are_laid_out_while_no_worker_is_there() -> None:
    [found] = read_layouts(queues("a:", "celery::celery", "rk:x:celery"))
    assert (found.prefix, found.sep, found.control_exchange) == ("a:", ":", "")
    assert choose_layout([found], OURS, learns=True).found == found
    named = choose_layout([found], OURS, learns=False).problem
    assert "global_keyprefix=a:" in named
    assert "control_exchange" not in named


def test_a_worker_knows_better_than_what_lies_there() -> None:
    left = queues("", f"celery{SEP}{SEP}celery")
    told = choose_layout(read_layouts({**left, **table(sep=":")}), OURS, learns=True)
    assert told.found is not None
    assert (told.found.sep, told.found.workers) == (":", ("w1@h",))


def test_another_project_is_not_ours_while_our_workers_are_down() -> None:
    ours = queues("", f"celery{SEP}{SEP}celery")
    told = choose_layout(read_layouts({**ours, **table("other:")}), OURS, learns=True)
    assert told.found is not None
    assert told.found.prefix == ""


def test_what_a_project_gave_is_told_and_left() -> None:
    verdict = choose_layout(read_layouts(table(sep=":")), OURS, learns=False)
    assert verdict.found is None
    assert "--transport-option sep=':'" in verdict.problem
    assert "give -A the settings in use" in verdict.problem


def test_another_control_exchange_is_named_as_the_option_that_gives_it() -> None:
    others = [QueueLayout("a:", "other", SEP), QueueLayout("b:", "third", SEP)]
    problem = choose_layout(others, OURS, learns=True).problem
    assert "--celery-setting control_exchange=other" in problem
