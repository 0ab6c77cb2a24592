"""What a large text needed goes back to the system once it is forgotten."""

import subprocess
import sys

import pytest

PROGRAM = """
from herald_monitor.returned_memory import resident, return_memory
assert return_memory()

before = resident()
for _ in range(3):
    texts = [bytearray(1_000_000) for _ in range(50)]
    pin = bytearray(1_000)  # lies behind them, if they are in one heap
    del texts
assert resident() - before < 5_000_000, resident() - before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident")
def test_large_blocks_are_returned() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


SMALL = """
import time
from herald_monitor import returned_memory

returned_memory.LOOK_EVERY_S = 0.05
assert returned_memory.return_memory()
before = returned_memory.resident()
texts = [bytearray(1_000) for _ in range(50_000)]
pin = bytearray(1_000)  # lies behind them
assert returned_memory.resident() - before > 40_000_000
del texts
until = time.monotonic() + 20
while returned_memory.resident() - before > 10_000_000:
    assert time.monotonic() < until, returned_memory.resident() - before
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident")
def test_what_is_free_between_others_is_returned_after_a_while() -> None:
    subprocess.run([sys.executable, "-c", SMALL], check=True, timeout=60)
