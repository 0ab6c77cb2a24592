"""A task type whose tasks a narrow token may not see does not exist for it."""

from datetime import date
from pathlib import Path

import pytest

from herald_core.model.filters import Filter
from herald_server.auth.identity import Identity, PermissionDenied
from herald_server.auth.request_context import enter_request
from herald_server.catalog.catalog import Catalog, CatalogError, TaskType
from herald_server.control.start.decision import StartRequest, decide_start
from herald_server.mcp.start_tool_text import format_catalog

TOML = """
allow = ["reports.*", "payroll.*", "rep?rts.x"]
[task_types.daily]
celery_name = "reports.daily"
[task_types.adm]
celery_name = "payroll.run"
scope = "admin"
queue = "payroll"
[task_types.adm.params.month]
type = "integer"
required = true
"""
TODAY = date(2026, 11, 29)


def narrow(only: Filter) -> Identity:
    return Identity("narrow", task_filter=only)


REPORTS = narrow(Filter(name=("reports.*",)))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "herald.toml"
    path.write_text(TOML)
    return Catalog.from_toml(path)


def test_types_of_other_names_are_not_listed(catalog: Catalog) -> None:
    assert {kind.name for kind in catalog} == {"daily", "adm"}
    with enter_request(REPORTS):
        assert [kind.name for kind in catalog] == ["daily"]
        assert "adm" not in catalog
        assert catalog.allowed_names == ("reports.*",)
        assert catalog.queue_names == []
        assert catalog.find_by_celery_name("payroll.run") is None
        assert "adm" not in format_catalog(catalog)


def test_a_wider_pattern_is_told_as_what_the_token_covers() -> None:
    catalog = Catalog((), allow=("*",))
    with enter_request(REPORTS):
        assert catalog.allowed_names == ("reports.*",)


@pytest.mark.parametrize("only", [Filter(tag=("a",)), Filter(ids=("a",))], ids=str)
def test_a_filter_without_names_leaves_out_no_type(
    catalog: Catalog, only: Filter
) -> None:
    with enter_request(narrow(only)):
        assert {kind.name for kind in catalog} == {"daily", "adm"}


def test_both_filters_of_a_token_must_match(catalog: Catalog) -> None:
    both = Filter(tag=("a",)).intersect(Filter(name=("reports.*",)))
    with enter_request(narrow(both)):
        assert [kind.name for kind in catalog] == ["daily"]
    neither = Filter(name=("payroll.*",)).intersect(Filter(name=("reports.*",)))
    with enter_request(narrow(neither)):
        assert list(catalog) == []


def test_what_workers_register_is_narrowed_too() -> None:
    catalog = Catalog.make_undeclared()
    names = ("reports.a", "payroll.b")
    with enter_request(REPORTS):
        catalog.add_registered(TaskType(name, name) for name in names)
        assert [kind.name for kind in catalog] == ["reports.a"]
    assert {kind.name for kind in catalog} == {*names}


def test_a_hidden_type_is_refused_as_one_that_nobody_declared(catalog: Catalog) -> None:
    said: list[str] = []
    with enter_request(REPORTS):
        for name in ("adm", "xdm"):
            with pytest.raises(CatalogError) as refused:
                decide_start(REPORTS, StartRequest(task_type=name), catalog, (), TODAY)
            said.append(str(refused.value).replace(name, "NAME"))
        assert said[0] == said[1]
        assert "payroll" not in said[0]
        said.clear()
        for name in ("payroll.run", "payroll.ran"):
            with pytest.raises(PermissionDenied, match="narrowed") as narrowed:
                decide_start(REPORTS, StartRequest(task_type=name), catalog, (), TODAY)
            said.append(str(narrowed.value).replace(name, "NAME"))
        assert said[0] == said[1]


def test_what_is_visible_keeps_its_checks(catalog: Catalog) -> None:
    payroll = narrow(Filter(name=("payroll.*",)))
    with enter_request(payroll), pytest.raises(CatalogError, match="month"):
        decide_start(payroll, StartRequest(task_type="payroll.run"), catalog, (), TODAY)


def test_only_visible_types_are_contained() -> None:
    catalog = Catalog.make_undeclared()
    names = ("reports.daily", "payroll.run")
    catalog.add_registered(TaskType(name, name) for name in names)
    assert all(name in catalog for name in names)
    assert "reports.other" not in catalog
    with enter_request(REPORTS):
        assert [name in catalog for name in names] == [True, False]
