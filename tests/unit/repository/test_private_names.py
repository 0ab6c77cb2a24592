"""Names of other libraries that Herald uses though no documentation promises them.

A library that renames one fails here, with the reason for which Herald needs it,
before anything else fails in a less obvious way.
"""

import dis
import inspect
from asyncio import selector_events, sslproto
from collections.abc import Iterator
from typing import Any

import kombu.connection
import kombu.pidbox
import pytest
import redis.asyncio.connection
import redis.connection
import uvicorn
from celery import Celery
from celery.app.amqp import AMQP
from celery.app.events import Events
from celery.backends.base import Backend
from celery.backends.database import DatabaseBackend
from celery.backends.database.session import SessionManager
from celery.backends.filesystem import FilesystemBackend
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.events.dispatcher import EventDispatcher
from fastmcp import FastMCP
from fastmcp.server.auth.oauth_proxy.upstream import AsyncOAuth2Client
from fastmcp.server.auth.oidc_proxy import OIDCProxy
from fastmcp.server.http import StreamableHTTPASGIApp
from kombu.message import Message
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Transport
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from uvicorn.server import ServerState
from websockets.server import ServerProtocol

USES: dict[type, dict[str, str]] = {
    # asyncio
    sslproto._SSLProtocolTransport: {  # pyright: ignore[reportPrivateUsage]
        "_ssl_protocol": "count unread bytes below TLS",
    },
    sslproto.SSLProtocol: {"_transport": "count unread bytes below TLS"},
    selector_events._SelectorTransport: {  # type: ignore[attr-defined]
        "max_size": "read 4 KB at a time",
    },
    # uvicorn
    uvicorn.Server: {
        "capture_signals": "leave signals to Herald",
        "should_exit": "stop",
        "started": "wait until it serves",
        "server_state": "count connections",
        "servers": "accept no connection before the last answers",
    },
    ServerState: {"connections": "count connections"},
    H11Protocol: {
        "app": "pass the connection to the application",
        "client": "count connections by address",
        "conn": "see whether a request is complete",
        "connection_lost": "stop the timer",
        "connection_made": "start the timer, bound the connections",
        "cycle": "answer 408, see that a request began",
        "data_received": "bound the CPU time of parsing",
        "flow": "resume reading only if nothing else paused it",
        "handle_websocket_upgrade": "stop the timer",
        "loop": "timers",
        "shutdown": "close connections after their answers",
        "transport": "abort",
    },
    RequestResponseCycle: {
        "disconnected": "end a request that did not arrive",
        "message_event": "wake the application that reads the body",
        "response_complete": "see whether an answer is due",
        "response_started": "see whether 408 can be sent",
    },
    FlowControl: {"read_paused": "resume reading only if nothing else paused it"},
    WebSocketsSansIOProtocol: {
        "client": "count connections by address",
        "close_sent": "send nothing after a close frame",
        "config": "the maximum size of a message",
        "conn": "send a close frame, refuse a handshake",
        "connection_lost": "drop the connection",
        "connection_made": "bound the connections",
        "curr_msg_data_type": "check that a text is UTF-8",
        "data_received": "bound the CPU time of parsing",
        "disconnected": "send nothing to a client that is gone",
        "frames": "bound the fragments of a message",
        "handle_cont": "bound the fragments of a message",
        "handle_parser_exception": "abort before the handshake",
        "handle_ping": "read nothing of a client that takes no answers",
        "handshake_initiated": "refuse a handshake",
        "loop": "timers",
        "queue": "replace it by a smaller one",
        "read_paused": "resume reading only if nothing else paused it",
        "request": "release its headers",
        "response": "release its headers",
        "resume_writing": "read again",
        "run_asgi": "pass the connection to the application",
        "scope": "pass the connection to the application, release its headers",
        "send": "count unread bytes",
        "send_500_response": "send it only before the handshake",
        "send_receive_event_to_app": "check that a text is UTF-8",
        "stop_keepalive": "send no ping after a close frame",
        "transport": "write frames directly",
        "writable": "write frames directly",
    },
    # websockets
    ServerProtocol: {
        "close_sent": "see whether a close frame was sent",
        "data_to_send": "send a close frame",
        "eof_sent": "send no 500 after the end",
        "handshake_exc": "say why a handshake is refused",
        "send_close": "send a close frame",
        "state": "see whether the handshake is over",
    },
    # fastmcp and mcp
    FastMCP: {
        "_mcp_server": "serve further methods, look for no schema",
        "_state_store": "keep no state of sessions",
    },
    OIDCProxy: {
        "_extract_upstream_claims": "put the person into the token of an MCP client",
        "_prepare_scopes_for_upstream_refresh": "keep scopes from the provider",
        "_create_upstream_oauth_client": "keep the provider's scopes from clients",
    },
    AsyncOAuth2Client: {"_request_token": "keep the provider's scopes from clients"},
    Server: {
        "add_request_handler": "serve further methods",
        "get_tool_input_schema": "look for no schema at each call",
    },
    ServerSession: {"_connection": "notify outside a request"},
    Connection: {
        "exit_stack": "end subscriptions with their connection",
        "state": "keep the subscriptions of a connection",
    },
    StreamableHTTPASGIApp: {"session_manager": "end sessions before streams"},
    StreamableHTTPSessionManager: {
        "_serve_opening_request": "open a session of another process",
        "_server_instances": "end sessions before streams",
        "_session_owners": "open a session of another process",
        "json_response": "open a session of another process",
        "security_settings": "open a session of another process",
        "session_idle_timeout": "open a session of another process",
        "stateless": "see whether there are sessions",
    },
    # kombu
    kombu.Connection: {
        "__eqhash__": "share no pool with the project",
        "_info": "copy a connection",
        "alt": "tell several brokers apart",
        "get_transport_cls": "use a transport that restores nothing",
    },
    kombu.connection.ConnectionPool: {"new": "make connections that restore nothing"},
    kombu.pidbox.Mailbox: {
        "_broadcast": "ask workers",
        "_publish": "ask workers, and count who receives it",
        "producer_pool": "wait for no broker that is down",
        "reply_queue": "receive answers",
    },
    Message: {"errors": "leave a message compressed"},
    Transport: {"Channel": "use a channel that restores nothing"},
    kombu_redis.Channel: {
        "_create_client": "count who receives a question",
        "_delete": "remove the binding of a question",
        "_fanout_queues": "write no binding of a fanout",
        "_queue_bind": "write no binding of a fanout",
        "QoS": "restore nothing",
        "after_reply_message_received": "remove the reply queue",
        "pool": "write the outbox to the broker",
        "conn_or_acquire": "write the binding of a question",
        "do_restore": "restore nothing",
        "fanout_patterns": "subscribe as kombu does",
        "global_keyprefix": "subscribe as kombu does",
        "keyprefix_fanout": "subscribe as kombu does",
        "keyprefix_queue": "write the binding of a question",
        "sep": "write the binding of a question",
        "typeof": "write no binding of a fanout",
    },
    kombu_redis.QoS: {
        "restore_at_shutdown": "restore nothing",
        "restore_by_tag": "restore nothing",
        "restore_unacked": "restore nothing",
        "restore_unacked_once": "restore nothing",
        "restore_visible": "restore nothing",
    },
    # redis-py
    redis.connection.Connection: {"_sock": "read events without redis-py's pub/sub"},
    redis.asyncio.connection.Connection: {
        "_reader": "read results without redis-py's pub/sub",
        "_writer": "ping without redis-py's pub/sub",
        "disconnect": "drop a connection that has half an answer",
        "retry": "send once more over a new connection",
        "send_packed_command": "send a batch packed by hiredis",
    },
    # Celery
    Celery: {
        "_backend_cache": "read results and write none",
        "_get_backend": "read results and write none",
        "_local": "send tasks that ask for no reply",
        "_pool": "drop connections that restore messages",
        "configured": "read no configuration before its time",
        "events_cls": "record events in the outbox",
    },
    Events: {"dispatcher_cls": "record events in the outbox"},
    EventDispatcher: {
        "clock": "make events as Celery does",
        "disable": "record no worker as offline twice",
        "enable": "record no worker as offline twice",
        "enabled": "record events without -E",
        "hostname": "make events as Celery does",
        "pid": "make events as Celery does",
    },
    AMQP: {
        "_event_dispatcher": "record events of an app that has sent tasks",
        "send_task_message": "record events of an app that has sent tasks",
        "_producer_pool": "drop connections that restore messages",
        "Connection": "make connections that restore nothing",
    },
    Backend: {
        "_get_result_meta": "find out in which timezone results are stored",
        "on_task_call": "subscribe to no result",
    },
    RedisBackend: {"connparams": "connect to where results are"},
    SentinelBackend: {"_transport_options": "connect to where results are"},
    FilesystemBackend: {"_do_directory_test": "write no file"},
    DatabaseBackend: {
        "ResultSession": "make no tables",
        "_get_task_meta_for": "read a result though there is no table",
        "engine_options": "see whether there is a table",
        "task_cls": "see whether there is a table",
    },
    SessionManager: {
        "get_engine": "see whether there is a table",
        "prepared": "make no tables",
    },
}

CASES = [
    pytest.param(owner, name, purpose, id=f"{owner.__qualname__}.{name}")
    for owner, names in USES.items()
    for name, purpose in names.items()
]


@pytest.mark.parametrize(("owner", "name", "purpose"), CASES)
def test_a_private_name_is_there(owner: type, name: str, purpose: str) -> None:
    assert hasattr(owner, name) or name in set(_stored_names(owner)), purpose


def _stored_names(owner: type) -> Iterator[str]:
    """Yield the names of attributes that methods of `owner` assign."""
    members = [one for base in owner.__mro__ for one in vars(base).values()]
    for method in filter(inspect.isfunction, members):
        for step in dis.get_instructions(inspect.unwrap(method)):
            if step.opname == "STORE_ATTR":
                yield step.argval


def test_celerys_dispatcher_makes_an_event_by_what_it_is_given() -> None:
    """The outbox passes the event it has recorded, so that the same is published."""
    for method in (EventDispatcher.send, EventDispatcher.publish):
        assert {"type", "blind", "Event"} <= inspect.signature(method).parameters.keys()
    options = inspect.signature(EventDispatcher.send).parameters.keys()
    assert {"utcoffset", "retry", "retry_policy"} <= options


def test_websockets_can_bound_messages_later() -> None:
    # Before websockets 16 it is called `max_size`.
    assert {"max_message_size", "max_size"} & set(_stored_names(ServerProtocol))


def test_redis_py_reads_the_next_reply_after_an_error() -> None:
    read = redis.asyncio.connection.Connection.read_response
    assert "disconnect_on_error" in inspect.signature(read).parameters


def test_asyncio_says_so_when_no_file_is_left() -> None:
    accept: Any = selector_events.BaseSelectorEventLoop._accept_connection  # type: ignore[attr-defined]
    assert "socket.accept() out of system resource" in accept.__code__.co_consts
