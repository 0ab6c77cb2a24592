"""The page names the modules of its first screen, so that they are read at once."""

from herald_server.api.dashboard import (
    DASHBOARD_PATH,
    compute_version,
    list_first_modules,
    read_page,
)


def test_the_page_preloads_the_modules_of_its_first_screen() -> None:
    modules = list_first_modules()
    assert modules[0] == "page/main.js"
    assert "page/screens/overview/needs-you.js" in modules
    assert "vendor/preact-htm/standalone.module.js" in modules
    assert "page/screens/tasks/tasks.js" not in modules
    assert all((DASHBOARD_PATH / module).is_file() for module in modules)
    place = f"dashboard/v/{compute_version()}"
    for module in modules:
        assert f'<link rel="modulepreload" href="{place}/{module}">' in read_page()


def test_all_files_of_the_page_are_below_the_path_of_their_version() -> None:
    place = f"dashboard/v/{compute_version()}/"
    assert read_page().count("dashboard/") == read_page().count(place)
