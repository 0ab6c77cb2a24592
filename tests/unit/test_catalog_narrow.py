"""A task type whose tasks a narrow token may not see does not exist for it."""

from datetime import date
from pathlib import Path

import pytest

from herald_monitor.model.filters import Filter
from herald_server.auth import Identity, NotAllowed
from herald_server.caller import serving
from herald_server.catalog import Catalog, CatalogError, TaskType
from herald_server.decision import Wish, decide
from herald_server.mcp.menu import menu

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
    return Identity("narrow", only=only)


REPORTS = narrow(Filter(name=("reports.*",)))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "herald.toml"
    path.write_text(TOML)
    return Catalog.from_toml(path)


def test_types_of_other_names_are_not_listed(catalog: Catalog) -> None:
    assert {kind.name for kind in catalog} == {"daily", "adm"}
    with serving(REPORTS):
        assert [kind.name for kind in catalog] == ["daily"]
        assert "adm" not in catalog
        assert catalog.allow == ("reports.*",)
        assert catalog.queue_names == []
        assert catalog.of_celery_name("payroll.run") is None
        assert "adm" not in menu(catalog)


def test_a_wider_pattern_is_told_as_what_the_token_covers() -> None:
    catalog = Catalog((), allow=("*",))
    with serving(REPORTS):
        assert catalog.allow == ("reports.*",)


@pytest.mark.parametrize("only", [Filter(tag=("a",)), Filter(ids=("a",))], ids=str)
def test_a_filter_without_names_leaves_out_no_type(
    catalog: Catalog, only: Filter
) -> None:
    with serving(narrow(only)):
        assert {kind.name for kind in catalog} == {"daily", "adm"}


def test_both_filters_of_a_token_must_match(catalog: Catalog) -> None:
    both = Filter(tag=("a",)).within(Filter(name=("reports.*",)))
    with serving(narrow(both)):
        assert [kind.name for kind in catalog] == ["daily"]
    neither = Filter(name=("payroll.*",)).within(Filter(name=("reports.*",)))
    with serving(narrow(neither)):
        assert list(catalog) == []


def test_what_workers_register_is_narrowed_too() -> None:
    catalog = Catalog.undeclared()
    names = ("reports.a", "payroll.b")
    with serving(REPORTS):
        catalog.learn(TaskType(name, name) for name in names)
        assert [kind.name for kind in catalog] == ["reports.a"]
    assert {kind.name for kind in catalog} == {*names}


def test_a_hidden_type_is_refused_as_one_that_nobody_declared(catalog: Catalog) -> None:
    said: list[str] = []
    with serving(REPORTS):
        for name in ("adm", "xdm"):
            with pytest.raises(CatalogError) as refused:
                decide(REPORTS, Wish(task_type=name), catalog, (), TODAY)
            said.append(str(refused.value).replace(name, "NAME"))
        assert said[0] == said[1]
        assert "payroll" not in said[0]
        said.clear()
        for name in ("payroll.run", "payroll.ran"):
            with pytest.raises(NotAllowed, match="narrowed") as narrowed:
                decide(REPORTS, Wish(task_type=name), catalog, (), TODAY)
            said.append(str(narrowed.value).replace(name, "NAME"))
        assert said[0] == said[1]


def test_what_is_visible_keeps_its_checks(catalog: Catalog) -> None:
    payroll = narrow(Filter(name=("payroll.*",)))
    with serving(payroll), pytest.raises(CatalogError, match="month"):
        decide(payroll, Wish(task_type="payroll.run"), catalog, (), TODAY)
