"""The generated parts of the reference are what the code says.

`python -m tests.support.reference` writes them anew.
"""

import pytest

from herald_server.wiring.settings import ServerSettings
from tests.support.reference.pages import DOCS, PAGES, write_page


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_the_code_says(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == write_page(page), "run python -m tests.support.reference"


def test_each_setting_says_what_it_is() -> None:
    for name, field in ServerSettings.model_fields.items():
        assert field.description, name
