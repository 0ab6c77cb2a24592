"""The imports of the dashboard's modules: layered, and without a cycle."""

import re
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path

PAGE = Path(str(files("herald_server"))) / "dashboard" / "page"
LAYERS = ("base", "parts", "screens", "")
"""Folders of `page`, the lowest first; "" are the modules that start the page."""

IMPORT = re.compile(r'^import [^"]*"(\.[^"]+)"|(?<!\{)\bimport\("(\.[^"]+)"\)', re.M)


def modules() -> list[Path]:
    return sorted(PAGE.rglob("*.js"))


def find_imports(module: Path) -> set[Path]:
    """Return the modules of the page that it imports, dynamic imports included."""
    text = "\n".join(
        line for line in module.read_text().splitlines() if "@" not in line
    )
    found = {Path(one or two) for one, two in IMPORT.findall(text)}
    targets = {(module.parent / path).resolve() for path in found}
    return {path for path in targets if path.is_relative_to(PAGE)}


def get_layer(module: Path) -> int:
    folder, _, rest = module.relative_to(PAGE).as_posix().partition("/")
    return LAYERS.index(folder if rest else "")


def test_imports_have_no_cycle() -> None:
    graph = {module: find_imports(module) for module in modules()}
    assert list(TopologicalSorter(graph).static_order())
    assert graph[PAGE / "main.js"]


def test_no_import_goes_to_a_higher_layer() -> None:
    upward = [
        f"{module.relative_to(PAGE)} -> {target.relative_to(PAGE)}"
        for module in modules()
        for target in find_imports(module)
        if get_layer(target) > get_layer(module)
    ]
    assert upward == []


def test_every_imported_module_exists() -> None:
    missing = {path for one in modules() for path in find_imports(one)} - {*modules()}
    assert missing == set()


def test_folders_stay_small() -> None:
    folders = [PAGE, *(path for path in PAGE.rglob("*") if path.is_dir())]
    sizes = {folder: len(list(folder.iterdir())) for folder in folders}
    assert sizes.pop(PAGE) <= 10
    assert max(sizes.values()) <= 15
