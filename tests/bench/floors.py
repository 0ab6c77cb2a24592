"""What storing cannot cost less than: a blob, an index entry and a log entry."""

import time
from typing import Any, cast

import msgspec
import redis

from tests.bench.store import stream

_packer = msgspec.msgpack.Encoder()


def blobs(url: str, tasks: int) -> float:
    """Return µs of our CPU an event with redis-py's pipeline: SET, ZADD, one XADD."""
    batches = list(stream(tasks, True, time.time()))
    events = sum(map(len, batches))
    with redis.Redis.from_url(url) as client:
        begin = time.process_time()
        for batch in batches:
            with client.pipeline(transaction=False) as pipe:
                for event in batch:
                    pipe.set(f"floor:{event.task_id}", _packer.encode(event), ex=600)
                    pipe.zadd("floor:index", {event.task_id: event.at})
                fields = {str(n): _packer.encode(e) for n, e in enumerate(batch)}
                pipe.xadd("floor:log", cast(Any, fields), maxlen=1000)
                pipe.execute()
        return 1e6 * (time.process_time() - begin) / events
