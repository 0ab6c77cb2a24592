"""The table [alerts] of a herald.toml."""

import tomllib
from pathlib import Path

import pytest

from herald_core.errors import InvalidInput
from herald_server.alerts.receivers import AlertSettings
from herald_server.alerts.rules import RULE_KINDS
from herald_server.alerts.toml import parse_alert_settings, read_alert_settings


def parse(text: str, **env: str) -> AlertSettings:
    return parse_alert_settings(tomllib.loads(text), env)


def test_each_kind_has_a_built_in_rule() -> None:
    assert {rule.name for rule in AlertSettings().rules} == set(RULE_KINDS)
    assert read_alert_settings(None) == AlertSettings()


def test_one_key_of_a_built_in_rule_is_changed() -> None:
    rule = parse('[rules.queue_old]\nlimit = "30m"').find_rule("queue_old")
    assert rule is not None
    assert (rule.limit, rule.severity, rule.enabled) == (1_800.0, "warning", True)


def test_a_rule_of_ones_own() -> None:
    settings = parse(
        '[rules.reports]\nkind = "task_failed"\nmatch = "reports.*"\ncount = 3'
    )
    rule = settings.find_rule("reports")
    assert rule in settings.list_enabled()
    assert rule is not None
    assert (rule.count, rule.window, rule.matches("reports.make")) == (3, 300.0, True)


def test_a_rule_is_switched_off() -> None:
    settings = parse("[rules.gap]\nenabled = false")
    assert "gap" not in [rule.name for rule in settings.list_enabled()]


def test_repeats_of_all_rules_and_of_one() -> None:
    settings = parse('repeat = "1h"\n[rules.gap]\nrepeat = false')
    repeats = {rule.name: rule.repeat for rule in settings.rules}
    assert (repeats["queue_old"], repeats["gap"]) == (3_600.0, None)


def test_a_receiver_gets_what_it_asks_for() -> None:
    text = (
        '[receivers.ops]\nurl_env = "OPS"\nrules = ["queue_*"]\nseverity = "critical"'
    )
    [receiver] = parse(text, OPS="json://localhost").receivers
    assert receiver.urls == ("json://localhost",)
    assert receiver.matches("queue_old", "critical")
    assert not receiver.matches("queue_old", "warning")
    assert not receiver.matches("gap", "critical")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "unknown key 'x'"),
        ("rules = 1", "rules must be tables"),
        ("group_wait = true", "group_wait must be a duration"),
        ('repeat = "soon"', "repeat must be a duration"),
        ("[rules.mine]", "kind must be one of"),
        ("[rules.gap]\nlimit = 3", "unknown key 'limit'"),
        ('[rules.gap]\nseverity = "bad"', "severity must be one of info"),
        ("[rules.gap]\nenabled = 1", "enabled must be true or false"),
        ("[rules.gap]\nmatch = 1", "match must be a glob"),
        ("[rules.task_failed]\ncount = 0", "count must be at least 1"),
        ("[rules.task_failed]\ncount = 1.5", "count must be a whole number"),
        ("[rules.UPPER]", "must be named with a-z"),
        ("[rules]\ngap = 1", "must be a table"),
        ("[receivers.ops]", "needs one of url, urls, and url_env"),
        ('[receivers.ops]\nurl = "nothing"', "url must hold a URL of Apprise"),
        ('[receivers.ops]\nurl_env = "NOT_SET"', "a variable must be set"),
        ("[receivers.ops]\nurls = [1]", "urls must be a list of texts"),
        ('heartbeat_url = "ftp://x"', "heartbeat_url: url must be https"),
    ],
)
def test_a_mistake_gets_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(text)


def test_the_sentence_names_file_and_table(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text("[alerts.rules.gap]\nlimit = 3")
    with pytest.raises(InvalidInput, match=r"herald\.toml: \[alerts\.rules\.gap\] unk"):
        read_alert_settings(path)
