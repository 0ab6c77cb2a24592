"""Webhooks: changes of tasks, posted to whoever registered an address.

endpoint    who is told what            signing   Standard Webhooks 1.0
message     a change as it is posted    lanes     the order of messages. Pure.
register    what the store keeps        breaker   when to leave an endpoint alone
reading     the log behind a cursor     backoff   when to try again
address     where nothing may be sent   posting   one request
courier     one endpoint, from its cursor on      delivering  all of them, by lease
"""
