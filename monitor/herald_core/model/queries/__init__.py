"""Queries: a selection of tasks by filter, texts, times and durations. Pure.

`parse_query_text` parses what a person writes; `TaskQuery.matches` decides about one
task. `server/docs/reference/query-language.md` documents the grammar.
"""
