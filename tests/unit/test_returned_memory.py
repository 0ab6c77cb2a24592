"""What a large text needed goes back to the system once it is forgotten."""

import subprocess
import sys

import pytest

PROGRAM = """
from herald_monitor.returned_memory import return_memory
assert return_memory()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

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
