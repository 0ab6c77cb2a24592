"""The public contract as recorded files: names, shapes, bytes and sentences.

Each `test_*.py` compares one part of the contract with a file in `recorded/`. A
test that fails lists which name is gone, new or changed. What is gone or changed
breaks somebody's program; what is new is only to be recorded:

    python -m tests.golden --renew            # all parts
    python -m tests.golden --renew metrics    # the parts whose test names match

Read the difference of `recorded/` before it is committed. `store-0.1.json` is what
version 0.1 stored; it is written once and never renewed.

Only `product.py` imports modules of Herald: whoever moves one changes that file.
"""
