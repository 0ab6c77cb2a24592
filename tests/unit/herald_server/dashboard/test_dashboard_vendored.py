"""Vendored libraries are the published files, unchanged."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

VENDOR = Path(str(files("herald_server"))) / "dashboard" / "vendor"


@pytest.mark.parametrize("folder", sorted(VENDOR.iterdir()), ids=lambda it: it.name)
def test_each_file_has_the_checksum_of_its_readme(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    listed = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", readme))
    assert set(listed) == {one.name for one in folder.glob("*.js")}
    for name, checksum in listed.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == checksum, name


@pytest.mark.parametrize("folder", sorted(VENDOR.iterdir()), ids=lambda it: it.name)
def test_each_library_has_its_licence(folder: Path) -> None:
    assert list(folder.glob("LICENSE*"))
