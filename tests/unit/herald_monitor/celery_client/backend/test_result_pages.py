"""Databases and directories in pages: all of them, and no more than a page at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from herald_monitor.celery_client.backend import result_pages
from herald_monitor.celery_client.backend.result_pages import (
    ResultPage,
    can_list,
    iter_pages,
)
from tests.support.celery.project import make_app

PAGE = 10


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_pages, "PAGE_ROWS", PAGE)


def make_database(place: Path, ages_s: Sequence[float | None]) -> Any:
    """Return a SQLite backend with a result of each age; None leaves a hole."""
    backend: Any = cast(
        Any, make_app("memory://", f"db+sqlite:///{place}/r.db")
    ).backend
    session = backend.ResultSession()
    for number, age in enumerate(ages_s, 1):
        if age is not None:
            row = backend.task_cls(f"t{number}")
            row.id, row.status = number, "SUCCESS"
            row.date_done = datetime.now(UTC) - timedelta(seconds=age)
            session.add(row)
    session.commit()
    session.close()
    return backend


def list_ids(pages: Sequence[ResultPage]) -> list[str]:
    return sorted(id_ for page in pages for id_ in page.ids)


def test_all_rows_of_a_database_are_found_in_pages(tmp_path: Path) -> None:
    backend = make_database(tmp_path, [1.0] * 35)
    pages = list(iter_pages(backend, 0.0))
    assert list_ids(pages) == sorted(f"t{n}" for n in range(1, 36))
    assert max(len(page.ids) for page in pages) == PAGE
    assert [(page.done, page.total) for page in pages] == [
        (10, 35),
        (20, 35),
        (30, 35),
        (35, 35),
    ]


def test_an_old_row_that_ended_late_is_found(tmp_path: Path) -> None:
    """The order of the keys is that of the first state that was stored."""
    backend = make_database(tmp_path, [1.0] + [7_200.0] * 30)
    since = (datetime.now(UTC) - timedelta(minutes=1)).timestamp()
    assert list_ids(list(iter_pages(backend, since))) == ["t1"]


def test_deleted_rows_are_no_end(tmp_path: Path) -> None:
    backend = make_database(tmp_path, [1.0, *[None] * 40, 1.0])
    assert list_ids(list(iter_pages(backend, 0.0))) == ["t1", "t42"]


def test_an_empty_database_is_one_empty_page(tmp_path: Path) -> None:
    assert list(iter_pages(make_database(tmp_path, []), 0.0)) == [ResultPage([], 0, 0)]


def test_all_files_are_found_in_pages(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"celery-task-meta-t{number}").write_text("{}")
    (tmp_path / "other").write_text("")
    backend = cast(Any, make_app("memory://", f"file://{tmp_path}")).backend
    pages = list(iter_pages(backend, 0.0))
    assert list_ids(pages) == sorted(f"t{n}" for n in range(25))
    assert max(len(page.ids) for page in pages) <= PAGE
    assert (pages[-1].done, pages[-1].total) == (26, 26)


def test_a_backend_that_cannot_be_listed_says_so() -> None:
    backend = cast(Any, make_app("memory://", "cache+memory://")).backend
    assert not can_list(backend)
    assert list(iter_pages(backend, 0.0)) == []
