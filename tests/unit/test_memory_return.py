"""Memory that a burst left is given back, once it is calm."""

import gc
import subprocess
import sys
import weakref

import pytest

from herald_monitor.memory_return import GROWN_BYTES, MemoryReturn

PROGRAM = """
import asyncio, gc
from herald_monitor import memory_return

class Cycle:
    def __init__(self):
        self.me, self.text = self, b"x" * 20_000

async def main():
    memory_return.LOOK_EVERY_S = 0.01
    gc.disable()
    returning = asyncio.create_task(memory_return.return_often())
    await asyncio.sleep(0)
    before = memory_return._resident()
    for _ in range(2_000):
        Cycle()
    assert memory_return._resident() - before > 30_000_000
    async with asyncio.timeout(20):
        while memory_return._resident() - before > 8_000_000:
            await asyncio.sleep(0.01)
    returning.cancel()

asyncio.run(main())
"""


class Loop:
    """An object that only a look for cycles frees."""

    def __init__(self) -> None:
        self.me = self


def test_nothing_is_done_until_memory_grew_and_it_is_calm() -> None:
    resident, calm, given = [0], [False], list[int]()
    memory = MemoryReturn(lambda: resident[0], lambda: given.append(1), lambda: calm[0])
    lost = weakref.ref(Loop())
    gc.disable()
    try:
        assert not memory.look()
        resident[0] = GROWN_BYTES
        assert not memory.look(), "it is not calm"
        calm[0] = True
        assert memory.look()
    finally:
        gc.enable()
    assert lost() is None
    assert given == [1]


def test_what_is_still_in_use_is_not_looked_at_again() -> None:
    resident, given = [0], list[int]()
    memory = MemoryReturn(lambda: resident[0], lambda: given.append(1), lambda: True)
    resident[0] = 3 * GROWN_BYTES
    assert [memory.look(), memory.look()] == [True, False]
    resident[0] = 0
    assert not memory.look()
    resident[0] = GROWN_BYTES
    assert memory.look(), "it had become less meanwhile"


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is given back")
def test_cycles_of_a_burst_are_given_back() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
