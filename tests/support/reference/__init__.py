"""The parts of the documentation's reference that are written from the code.

`python -m tests.support.reference` writes them into the pages. What stands in a page
outside of the two marks is written by hand.
"""
