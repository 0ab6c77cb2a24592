"""What may be started, and what is refused with which sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from herald_core.errors import HeraldError
from herald_server.catalog.catalog import Catalog, CatalogError, Param

TODAY = date(2026, 11, 22)
CRISIS = {"severity": "critical", "reason": "flood"}

SHIPPED = {
    "resilience_health_check": "app.resilience.tasks.periodic_health_check",
    "resilience_contingency": "app.resilience.tasks.run_contingency_analysis",
    "resilience_fallback_precompute": (
        "app.resilience.tasks.precompute_fallback_schedules"
    ),
    "resilience_utilization_forecast": (
        "app.resilience.tasks.generate_utilization_forecast"
    ),
    "resilience_crisis_activation": "app.resilience.tasks.activate_crisis_response",
    "metrics_computation": "app.tasks.schedule_metrics_tasks.compute_schedule_metrics",
    "metrics_snapshot": "app.tasks.schedule_metrics_tasks.snapshot_metrics",
    "metrics_cleanup": "app.tasks.schedule_metrics_tasks.cleanup_old_snapshots",
    "metrics_fairness_report": (
        "app.tasks.schedule_metrics_tasks.generate_fairness_trend_report"
    ),
    "metrics_version_diff": "app.tasks.schedule_metrics_tasks.compute_version_diff",
}


def refused(task_type: str, params: Mapping[str, object]) -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        Catalog().check_params(task_type, params, TODAY)
    assert caught.value.task_type == task_type
    return caught.value


def from_text(folder: Path, text: str) -> Catalog:
    path = folder / "herald.toml"
    path.write_text(text, encoding="utf-8")
    return Catalog.from_toml(path)


def test_the_ten_shipped_types_have_their_celery_names() -> None:
    assert {kind.name: kind.celery_name for kind in Catalog.load_shipped()} == SHIPPED


def test_the_default_catalog_is_the_shipped_one() -> None:
    assert list(Catalog()) == list(Catalog.load_shipped())


def test_a_task_type_is_found_by_its_celery_name() -> None:
    found = Catalog().find_by_celery_name("app.resilience.tasks.periodic_health_check")
    assert found is not None
    assert found.name == "resilience_health_check"
    assert Catalog().find_by_celery_name("other") is None


@pytest.mark.parametrize(
    ("task_type", "kwargs"),
    [
        ("resilience_health_check", {}),
        ("resilience_contingency", {"days_ahead": 90}),
        ("resilience_fallback_precompute", {"days_ahead": 90}),
        ("resilience_utilization_forecast", {"days_ahead": 90}),
        ("metrics_snapshot", {"period_days": 90}),
        ("metrics_cleanup", {"retention_days": 365}),
        ("metrics_fairness_report", {"weeks_back": 12}),
        (
            "metrics_computation",
            {"start_date": "2026-11-22", "end_date": "2027-02-20"},
        ),
    ],
)
def test_defaults_are_filled_in(task_type: str, kwargs: dict[str, object]) -> None:
    assert Catalog().check_params(task_type, {}, TODAY) == kwargs


def test_an_end_date_that_is_left_out_follows_the_start_date() -> None:
    checked = Catalog().check_params(
        "metrics_computation", {"start_date": "2030-01-01"}, TODAY
    )
    assert checked == {"start_date": "2030-01-01", "end_date": "2030-04-01"}


def test_a_default_stops_at_the_end_of_the_calendar() -> None:
    checked = Catalog().check_params(
        "metrics_computation", {"start_date": "9999-12-30"}, TODAY
    )
    assert checked["end_date"] == "9999-12-31"


def test_nobody_need_have_approved_a_crisis() -> None:
    checked = Catalog().check_params("resilience_crisis_activation", CRISIS, TODAY)
    assert checked == {**CRISIS, "approved_by": None}


def test_an_explicit_null_is_taken_where_null_is_the_default() -> None:
    params = {**CRISIS, "approved_by": None}
    assert (
        Catalog().check_params("resilience_crisis_activation", params, TODAY) == params
    )


def test_a_crisis_needs_the_admin_scope_and_a_confirmation() -> None:
    special = [kind.name for kind in Catalog() if kind.confirm]
    assert special == ["resilience_crisis_activation"]
    assert [kind.name for kind in Catalog() if kind.scope == "admin"] == special


def test_what_is_checked_can_be_sent_as_json() -> None:
    params: dict[str, dict[str, object]] = {
        "resilience_crisis_activation": dict(CRISIS),
        "metrics_version_diff": {"run_id_1": "a", "run_id_2": "b"},
    }
    for kind in Catalog():
        kwargs = kind.check_params(params.get(kind.name, {}), TODAY)
        assert json.loads(json.dumps(kwargs)) == kwargs


@pytest.mark.parametrize("value", ["90", 90.0, 1.5, True, None, [], {}])
@pytest.mark.parametrize(
    ("task_type", "param"),
    [
        ("resilience_contingency", "days_ahead"),
        ("resilience_fallback_precompute", "days_ahead"),
        ("resilience_utilization_forecast", "days_ahead"),
        ("metrics_snapshot", "period_days"),
        ("metrics_cleanup", "retention_days"),
        ("metrics_fairness_report", "weeks_back"),
    ],
)
def test_a_number_must_be_an_integer(task_type: str, param: str, value: object) -> None:
    error = refused(task_type, {param: value})
    assert str(error) == f"{param} must be an integer"
    assert error.param == param


@pytest.mark.parametrize("value", [0, -1])
def test_a_number_must_be_at_least_one(value: int) -> None:
    error = refused("metrics_cleanup", {"retention_days": value})
    assert str(error) == "retention_days must be at least 1"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "severity"),
        ({"reason": "flood"}, "severity"),
        ({"severity": "", "reason": "flood"}, "severity"),
        ({"severity": None, "reason": "flood"}, "severity"),
        ({"severity": "critical"}, "reason"),
    ],
)
def test_a_crisis_needs_severity_and_reason(
    params: dict[str, object], param: str
) -> None:
    error = refused("resilience_crisis_activation", params)
    assert str(error) == f"{param} parameter required for crisis activation"
    assert error.param == param


def test_a_severity_is_text() -> None:
    error = refused("resilience_crisis_activation", {**CRISIS, "severity": 3})
    assert str(error) == "severity must be a string"


@pytest.mark.parametrize("params", [{}, {"run_id_1": "a"}, {"run_id_2": "b"}])
def test_a_version_diff_needs_both_runs(params: dict[str, object]) -> None:
    error = refused("metrics_version_diff", params)
    assert str(error) == "run_id_1 and run_id_2 required for version diff"


@pytest.mark.parametrize(
    "value", ["tomorrow", "2026-13-01", "20261122", "2026-W01-1", "22.11.2026"]
)
def test_a_date_is_written_as_iso_says(value: str) -> None:
    error = refused("metrics_computation", {"start_date": value})
    assert str(error) == "start_date must be a date, YYYY-MM-DD"


def test_a_period_does_not_end_before_it_starts() -> None:
    params = {"start_date": "2026-12-02", "end_date": "2026-12-01"}
    assert str(refused("metrics_computation", params)) == (
        "start_date must not be after end_date: 2026-12-02 is after 2026-12-01"
    )


def test_a_period_of_one_day_is_a_period() -> None:
    params = {"start_date": "2026-12-01", "end_date": "2026-12-01"}
    assert Catalog().check_params("metrics_computation", params, TODAY) == params


def test_an_unknown_type_is_named_and_the_closest_suggested() -> None:
    sentence = str(refused("resilience_helth_check", {}))
    assert sentence.startswith(
        "unknown task type 'resilience_helth_check' "
        "(did you mean resilience_health_check?); available: "
    )
    assert all(name in sentence for name in SHIPPED)


def test_an_unknown_parameter_is_named_and_the_closest_suggested() -> None:
    error = refused("resilience_contingency", {"day_ahead": 3})
    assert error.param == "day_ahead"
    assert str(error) == (
        "unknown parameter 'day_ahead' for resilience_contingency "
        "(did you mean days_ahead?); it takes: days_ahead"
    )


def test_a_type_without_parameters_says_so() -> None:
    assert str(refused("resilience_health_check", {"zzz": 1})) == (
        "unknown parameter 'zzz' for resilience_health_check; it takes none"
    )


def test_errors_are_herald_errors() -> None:
    assert isinstance(refused("nothing", {}), HeraldError)


def test_a_model_reads_the_parameters_as_json_schema() -> None:
    schema = Catalog()["resilience_contingency"].json_schema()
    assert schema == {
        "type": "object",
        "properties": {
            "days_ahead": {
                "type": "integer",
                "description": "days to look ahead, from today",
                "minimum": 1,
                "default": 90,
            }
        },
        "required": [],
        "additionalProperties": False,
    }


def test_a_relative_default_is_told_in_words() -> None:
    properties = Catalog()["metrics_computation"].json_schema()["properties"]
    assert properties == {
        "start_date": {
            "type": "string",
            "description": "first day; default: today",
            "format": "date",
        },
        "end_date": {
            "type": "string",
            "description": "last day; default: start_date+90",
            "format": "date",
        },
    }


def test_required_parameters_are_required_in_the_schema() -> None:
    schema = Catalog()["resilience_crisis_activation"].json_schema()
    assert schema["required"] == ["severity", "reason"]


OWN = """
[task_types.nightly_report]
celery_name = "shop.tasks.report"
description = "The report of a day"
queue = "slow"
duration = "5 minutes"
scope = "admin"
confirm = true

[task_types.nightly_report.params]
day = { type = "string", format = "date", default = "today" }
kind = { type = "string", enum = ["short", "long"], default = "short" }
share = { type = "number", minimum = 0.5 }
to = { type = "array", required = true, description = "addresses" }
since = { type = "string", format = "date-time" }
"""


def test_a_project_brings_its_own_types(tmp_path: Path) -> None:
    (kind,) = from_text(tmp_path, OWN)
    assert (kind.celery_name, kind.queue) == ("shop.tasks.report", "slow")
    assert (kind.scope, kind.confirm, kind.duration) == ("admin", True, "5 minutes")
    assert kind.check_params({"to": ["a"]}, TODAY) == {
        "day": "2026-11-22",
        "kind": "short",
        "to": ["a"],
    }


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "to parameter required for nightly report"),
        ({"to": "a"}, "to must be an array"),
        ({"to": [], "kind": "huge"}, "kind must be one of short, long"),
        ({"to": [], "share": 0.4}, "share must be at least 0.5"),
        ({"to": [], "share": float("nan")}, "share must be a number"),
        ({"to": [], "share": True}, "share must be a number"),
        (
            {"to": [], "since": "2026-01-01T00:00:00"},
            "since must be a time with offset, YYYY-MM-DDTHH:MM:SSZ",
        ),
    ],
)
def test_own_parameters_are_checked_by_their_types(
    tmp_path: Path, params: dict[str, object], sentence: str
) -> None:
    catalog = from_text(tmp_path, OWN)
    with pytest.raises(CatalogError) as caught:
        catalog.check_params("nightly_report", params, TODAY)
    assert str(caught.value) == sentence


def test_a_toml_date_becomes_text(tmp_path: Path) -> None:
    catalog = from_text(
        tmp_path,
        '[task_types.a]\ncelery_name = "a"\n[task_types.a.params]\n'
        'day = { type = "string", format = "date", default = 2026-01-02 }\n',
    )
    assert catalog.check_params("a", {}, TODAY) == {"day": "2026-01-02"}


HEAD = '[task_types.a]\ncelery_name = "a"\n'


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[task_types", "is not valid TOML"),
        ("", "no task types: add a table [task_types.NAME]"),
        ("task_types = 3", "task_types must be a table"),
        ("[task_types]\na = 3", "[task_types.a] must be a table"),
        ("[task_types.a]", "[task_types.a] needs celery_name"),
        ("[task_types.a]\ncelery_name = 3", "celery_name must be a string"),
        (
            HEAD + 'celery_nam = "b"',
            "[task_types.a] has an unknown key 'celery_nam' "
            "(did you mean celery_name?); known are",
        ),
        (HEAD + 'scope = "root"', "[task_types.a] scope must be one of start, admin"),
        (HEAD + "confirm = 1", "[task_types.a] confirm must be true or false"),
        (HEAD + "params = 1", "[task_types.a] params must be a table"),
        (HEAD + "params.x = 1", "[task_types.a.params.x] must be a table"),
        (
            HEAD + 'params.x = { type = "int" }',
            "[task_types.a.params.x] type must be one of integer, number, string",
        ),
        (
            HEAD + 'params.x = { type = "integer", default = "3" }',
            "[task_types.a.params.x] default: x must be an integer",
        ),
        (
            HEAD + 'params.x = { type = "integer", default = 3, required = true }',
            "[task_types.a.params.x] is required and has a default",
        ),
        (
            HEAD + 'params.x = { type = "string", minimum = 1 }',
            "[task_types.a.params.x] minimum is for type integer or number",
        ),
        (
            HEAD + 'params.x = { type = "integer", minimum = "1" }',
            "[task_types.a.params.x] minimum must be a number",
        ),
        (
            HEAD + 'params.x = { type = "string", format = "email" }',
            "[task_types.a.params.x] format must be one of date, date-time",
        ),
        (
            HEAD + 'params.x = { type = "integer", format = "date" }',
            "[task_types.a.params.x] format is for type string",
        ),
        (
            HEAD + 'params.x = { type = "integer", enum = [1, "2"] }',
            "[task_types.a.params.x] enum: x must be an integer",
        ),
        (
            HEAD + 'params.x = { type = "string", format = "date", default = "y+1" }',
            "[task_types.a.params.x] default: x must be a date",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, text: str, part: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        from_text(tmp_path, text)
    assert str(tmp_path / "herald.toml") in str(caught.value)
    assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"cannot read .*none\.toml"):
        Catalog.from_toml(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(CatalogError, match="not UTF-8 at byte 5"):
        Catalog.from_toml(path)


def test_a_boolean_is_no_member_of_an_enum_of_numbers() -> None:
    param = Param("x", "boolean", enum=(1,))
    assert param.find_problem(True) == "x must be one of 1"


# -- what may be started by its Celery name -------------------------------------------


def test_celery_names_that_are_allowed_can_be_started(tmp_path: Path) -> None:
    catalog = from_text(tmp_path, "allow = ['reports.*']\n")
    kind = catalog["reports.weekly"]
    assert (len(catalog), kind.celery_name, kind.scope) == (
        0,
        "reports.weekly",
        "start",
    )
    assert kind.check_params({"week": 7}, date(2026, 1, 1)) == {"week": 7}
    assert kind.json_schema()["additionalProperties"] is True
    with pytest.raises(CatalogError, match=r"available: reports\.\*"):
        catalog["shop.pay"]


def test_a_type_goes_before_an_allowed_name(tmp_path: Path) -> None:
    text = "allow = ['*']\n[task_types.a]\ncelery_name = 'x.a'\nscope = 'admin'\n"
    catalog = from_text(tmp_path, text)
    assert catalog["a"].scope == "admin"
    assert catalog["x.b"].scope == "start"


@pytest.mark.parametrize("text", ["allow = [1]", "allow = ['']", "allow = 'a'"])
def test_what_is_allowed_must_be_names(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError, match="allow must be an array"):
        from_text(tmp_path, text)
