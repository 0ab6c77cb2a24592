"""READMEs are short, and every link between documents leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.support.environment import DOCS, ROOT

MAX_BYTES = {"README.md": 4096, "monitor/README.md": 2048, "server/README.md": 2048}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)")
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in MAX_BYTES),
        *ROOT.glob(".github/*.md"),
        *DOCS.rglob("*.md"),
    ]
)


@pytest.mark.parametrize("name", MAX_BYTES)
def test_a_readme_is_short(name: str) -> None:
    assert len((ROOT / name).read_bytes()) <= MAX_BYTES[name]


def test_each_page_is_in_the_navigation() -> None:
    listed = re.findall(r"\S+\.md", (DOCS.parent / "mkdocs.yml").read_text())
    assert {str(one.relative_to(DOCS)) for one in DOCS.rglob("*.md")} <= set(listed)


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as the site makes them."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = re.findall(r'<a id="([^"]+)">', text)
    return {format_slug(heading) for heading in headings} | set(named)


def format_slug(heading: str) -> str:
    """Return what Python-Markdown and GitHub make of an ASCII heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        target = (page.parent / path).resolve() if path else page
        found = target.exists() and (
            not anchor or target.suffix != ".md" or anchor in list_anchors(target)
        )
        broken += [] if found else [f"{path}#{anchor}"]
    assert not broken
