"""Memory that was needed for a moment goes back to the system."""

import gc
import subprocess
import sys
import weakref

import pytest

from herald_core.system.memory_release import MIN_GROWTH_BYTES, MemoryReleaser

LARGE = """
from herald_core.system.memory_release import read_resident_bytes, return_large_blocks
assert return_large_blocks()

before = read_resident_bytes()
for _ in range(3):
    texts = [bytearray(1_000_000) for _ in range(50)]
    pin = bytearray(1_000)  # lies behind them, if they are in one heap
    del texts
assert read_resident_bytes() - before < 5_000_000, read_resident_bytes() - before
"""


READS = """
import resource, socket
from herald_core.system.memory_release import return_large_blocks
assert return_large_blocks()

def count_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

sender, receiver = socket.socketpair()
before = 0
for number in range(2_000):
    if number == 1_000:
        before = count_faults()
    sender.send(b"x" * 500)
    receiver.recv(256 * 1024)  # as asyncio does
assert count_faults() - before < 100, count_faults() - before
"""

BURST = """
import asyncio, gc
from herald_core.system import memory_release as returned_memory

class Cycle:
    def __init__(self):
        self.me, self.text = self, b"x" * 20_000

async def main():
    returned_memory.POLL_INTERVAL_S = 0.01
    gc.disable()
    returning = asyncio.create_task(returned_memory.return_periodically())
    await asyncio.sleep(0)
    before = returned_memory.read_resident_bytes()
    for _ in range(2_000):
        Cycle()
    assert returned_memory.read_resident_bytes() - before > 30_000_000
    async with asyncio.timeout(20):
        while returned_memory.read_resident_bytes() - before > 8_000_000:
            await asyncio.sleep(0.01)
    returning.cancel()

asyncio.run(main())
"""


class Loop:
    """An object that only a look for cycles frees."""

    def __init__(self) -> None:
        self.me = self


def test_garbage_is_looked_for_once_memory_grew_and_it_is_calm() -> None:
    resident, calm, given = [0], [False], list[int]()
    memory = MemoryReleaser(
        lambda: resident[0], lambda: given.append(1), lambda: calm[0]
    )
    lost = weakref.ref(Loop())
    gc.disable()
    try:
        assert not memory.release()
        resident[0] = MIN_GROWTH_BYTES
        assert memory.release(), "pages are given back all the same"
        assert lost() is not None
        calm[0] = True
        assert memory.release()
        assert not memory.release(), "it was looked for"
    finally:
        gc.enable()
    assert lost() is None
    assert given == [1, 1]


def test_what_is_still_in_use_is_not_looked_at_again() -> None:
    resident, given = [0], list[int]()
    memory = MemoryReleaser(lambda: resident[0], lambda: given.append(1), lambda: True)
    resident[0] = 3 * MIN_GROWTH_BYTES
    assert [memory.release(), memory.release()] == [True, False]
    resident[0] = 0
    assert not memory.release()
    resident[0] = MIN_GROWTH_BYTES
    assert memory.release(), "it had become less meanwhile"


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is given back")
def test_cycles_of_a_burst_are_given_back() -> None:
    subprocess.run([sys.executable, "-c", BURST], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident")
def test_large_blocks_are_returned() -> None:
    subprocess.run([sys.executable, "-c", LARGE], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have own rules")
def test_a_read_of_a_socket_maps_no_memory() -> None:
    subprocess.run([sys.executable, "-c", READS], check=True, timeout=60)
