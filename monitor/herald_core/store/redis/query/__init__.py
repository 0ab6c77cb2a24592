"""Queries: the tasks of a filter, newest first, by bitmaps.

Each key of a filter is a predicate: a mask over the numbers of a chunk, combined from
all requested values. Predicates are ANDed, chunk by chunk from the newest down; only
matches are read. A task never changes its number, and its bits change in the same step
as its record. So a scan finds it exactly once.

Of the bounded keys (names, workers, queues, tags) only a limited number of values have
an index of their own. Tasks of the others are found by text, in one sorted set a chunk.
"""
