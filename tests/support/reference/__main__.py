"""`python -m tests.support.reference [PAGE …]`: write the generated parts anew."""

import sys

from tests.support.reference.pages import DOCS, PAGES, write_page

for page in sys.argv[1:] or PAGES:
    (DOCS / page).write_text(write_page(page), encoding="utf-8")
