"""Problems are alerts once they last long enough, and many are folded."""

from herald_core.model.alerts.alert import make_alert_id
from herald_core.model.workers.worker import WorkerView
from herald_server.alerts.conditions import MAX_SUBJECTS, OTHER_SUBJECTS, judge
from herald_server.alerts.facts import AlertFacts, WebhookProblem
from herald_server.alerts.rules import AlertRule

NOW = 1_000.0
OFF = AlertRule(name="off", kind="webhook_off", hold=30.0, severity="critical")


def make_facts(*since: float | None) -> AlertFacts:
    problems = [WebhookProblem(f"wh_{n:02}", "off", at) for n, at in enumerate(since)]
    return AlertFacts(webhooks=problems)


def test_a_problem_must_last() -> None:
    found = judge([OFF], make_facts(NOW - 10), {}, NOW)
    assert found.conditions == {}
    assert found.due == {"webhooks": NOW + 20}


def test_one_that_lasts_is_an_alert() -> None:
    [condition] = judge([OFF], make_facts(NOW - 30), {}, NOW).conditions.values()
    assert (condition.rule, condition.severity) == ("off", "critical")


def test_without_a_known_beginning_it_begins_when_it_is_noticed() -> None:
    first = judge([OFF], make_facts(None), {}, NOW)
    assert first.first_seen == {make_alert_id("off", "wh_00"): NOW}
    later = judge([OFF], make_facts(None), first.first_seen, NOW + 30)
    assert [one.since for one in later.conditions.values()] == [NOW]


def test_what_has_gone_is_forgotten() -> None:
    first = judge([OFF], make_facts(None), {}, NOW)
    assert judge([OFF], make_facts(), first.first_seen, NOW + 9).first_seen == {}


def test_many_subjects_are_folded_the_oldest_first() -> None:
    facts = make_facts(*(float(n) for n in range(MAX_SUBJECTS + 3)))
    found = judge([OFF], facts, {}, NOW).conditions
    subjects = [one.subject for one in found.values()]
    assert subjects[:2] == ["wh_00", "wh_01"]
    assert subjects[-1] == OTHER_SUBJECTS
    assert len(subjects) == MAX_SUBJECTS + 1
    assert found[make_alert_id("off", OTHER_SUBJECTS)].title.endswith("and 2 more")


def test_each_rule_has_alerts_of_its_own() -> None:
    worker = WorkerView(id="a", hostname="a", state="silent")
    rules = [AlertRule(name=name, kind="worker_silent") for name in ("one", "two")]
    assert len(judge(rules, AlertFacts(workers=[worker]), {}, NOW).conditions) == 2
