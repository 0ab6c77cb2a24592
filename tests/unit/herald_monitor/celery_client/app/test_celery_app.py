"""Apps come from `-A` or from two URLs, and what is wrong is said."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from herald_monitor.celery_client.app.celery_app import AppLoadError, load_app, make_app
from herald_monitor.celery_client.app.project_modules import list_import_problems


@pytest.fixture(autouse=True)
def _clean_modules() -> Iterator[None]:
    """Forget what a test imported."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("shop"):
            del sys.modules[name]


def _write(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text)


def test_finds_the_app_in_a_module(tmp_path: Path) -> None:
    _write(tmp_path, "shop1.py", "from celery import Celery\napp = Celery('shop')\n")
    assert load_app("shop1", tmp_path).main == "shop"


def test_finds_a_named_attribute(tmp_path: Path) -> None:
    _write(tmp_path, "shop2.py", "from celery import Celery\nmine = Celery('m')\n")
    assert load_app("shop2:mine", tmp_path).main == "m"


def test_finds_the_celery_module_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "shop3").mkdir()
    _write(tmp_path, "shop3/__init__.py", "")
    _write(tmp_path, "shop3/celery.py", "import celery\napp = celery.Celery('p')\n")
    assert load_app("shop3", tmp_path).main == "p"


def test_module_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AppLoadError, match="there is no module shop_none"):
        load_app("shop_none", tmp_path)


def test_missing_dependency_of_the_module_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "shop4.py", "import no_such_thing\n")
    with pytest.raises(
        AppLoadError, match="imports no_such_thing, which is not installed"
    ):
        load_app("shop4", tmp_path)


def test_module_that_raises_is_said(tmp_path: Path) -> None:
    _write(tmp_path, "shop5.py", "raise RuntimeError('no settings')\n")
    with pytest.raises(AppLoadError, match="RuntimeError: no settings"):
        load_app("shop5", tmp_path)


def test_module_that_exits_is_said(tmp_path: Path) -> None:
    _write(tmp_path, "shop6.py", "raise SystemExit('bye')\n")
    with pytest.raises(AppLoadError, match="SystemExit: bye"):
        load_app("shop6", tmp_path)


def test_module_without_an_app_is_said(tmp_path: Path) -> None:
    _write(tmp_path, "shop7.py", "x = 1\n")
    with pytest.raises(AppLoadError, match="no Celery app in it"):
        load_app("shop7", tmp_path)


def test_attribute_that_is_no_app_is_said(tmp_path: Path) -> None:
    _write(tmp_path, "shop8.py", "app = 1\n")
    with pytest.raises(AppLoadError, match="leads to a int, not to a Celery app"):
        load_app("shop8:app", tmp_path)


def test_modules_that_cannot_be_imported_are_named_and_hold_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(
        tmp_path,
        "shop10.py",
        "from celery import Celery\n"
        "app = Celery('shop', include=['shop10_bad', 'shop10_good'])\n"
        "app.autodiscover_tasks(['shop10_a', 'shop10_b', 'shop10_none'])\n",
    )
    good = "from celery import shared_task\n@shared_task\ndef {}(): pass\n"
    _write(tmp_path, "shop10_good.py", good.format("pack"))
    _write(tmp_path, "shop10_bad.py", "raise SystemExit('no licence')\n")
    for name, text in (("a", "import no_such_thing\n"), ("b", good.format("ship"))):
        (tmp_path / f"shop10_{name}").mkdir()
        _write(tmp_path, f"shop10_{name}/__init__.py", "")
        _write(tmp_path, f"shop10_{name}/tasks.py", text)
    app = load_app("shop10", tmp_path)
    names = set(cast(Any, app).tasks)
    assert {"shop10_good.pack", "shop10_b.tasks.ship"} <= names
    problems = " ".join(list_import_problems(app))
    assert "shop10_a.tasks cannot be imported (ModuleNotFoundError: No" in problems
    assert "shop10_bad cannot be imported (SystemExit: no licence)" in problems
    assert "shop10_none.tasks cannot be imported" in problems
    assert [record.exc_info for record in caplog.records] == [None] * 3


@pytest.mark.parametrize("name", ["", "::", "shop..x", "shop9:a:b", "-"])
def test_odd_names_get_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(AppLoadError):
        load_app(name, tmp_path)


@pytest.mark.parametrize(
    "url", ["redis://h:1/2", "rediss://h/0", "amqp://u:p@h//", "memory://"]
)
def test_known_brokers_are_taken(url: str) -> None:
    app = make_app(url)
    assert cast(Any, app).conf.broker_read_url == url


def test_reads_json_only() -> None:
    assert cast(Any, make_app("redis://h")).conf.accept_content == ["json"]


def test_told_broker_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere/0")
    app = cast(Any, make_app("redis://here/0"))
    assert app.connection_for_read().hostname == "here"


def test_settings_can_be_added() -> None:
    assert (
        cast(Any, make_app("redis://h", event_exchange="ev")).conf.event_exchange
        == "ev"
    )


@pytest.mark.parametrize("url", ["ftp://h", "redsi://h/0"])
def test_unknown_broker_scheme_is_said(url: str) -> None:
    with pytest.raises(AppLoadError, match=r"The broker URL .* cannot use here"):
        make_app(url)


@pytest.mark.parametrize("url", ["", "localhost:6379", "redis"])
def test_broker_without_scheme_is_said(url: str) -> None:
    with pytest.raises(AppLoadError, match="has no scheme"):
        make_app(url)


def test_unknown_backend_scheme_is_said() -> None:
    with pytest.raises(
        AppLoadError, match=r"The result backend URL .* cannot use here"
    ):
        make_app("redis://h", "ftp://h")


def test_passwords_are_not_said() -> None:
    with pytest.raises(AppLoadError) as caught:
        make_app("ftp://user:hunter2@h")
    assert "hunter2" not in str(caught.value)
