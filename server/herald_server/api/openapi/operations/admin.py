"""Operations on tokens, webhooks and sessions."""

from __future__ import annotations

from herald_server.api.openapi import requests as body
from herald_server.api.openapi.answers import admin as out
from herald_server.api.openapi.operations.operation import (
    SIGN_IN,
    TOKENS,
    V1,
    WEBHOOKS,
    Operation,
    OperationTable,
    count_up_to,
)
from herald_server.api.webhooks import MAX_LETTERS
from herald_server.auth.audit import MAX_RECORDS

ADMIN_OPERATIONS: OperationTable = {
    ("GET", f"{V1}/audit"): Operation(
        query={"limit": count_up_to(MAX_RECORDS)},
        answers={200: out.AuditAnswer},
        group=TOKENS,
    ),
    ("GET", f"{V1}/tokens"): Operation(answers={200: out.TokensAnswer}, group=TOKENS),
    ("POST", f"{V1}/tokens"): Operation(
        body=body.MintBody, answers={201: out.MintedTokenAnswer}, group=TOKENS
    ),
    ("DELETE", f"{V1}/tokens/{{id}}"): Operation(
        answers={200: out.RevokedTokenAnswer}, group=TOKENS
    ),
    ("GET", f"{V1}/webhooks"): Operation(
        answers={200: out.WebhooksAnswer}, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks"): Operation(
        body=body.WebhookBody,
        is_body_needed=True,
        answers={201: out.WebhookSecretAnswer},
        group=WEBHOOKS,
    ),
    ("GET", f"{V1}/webhooks/{{id}}"): Operation(
        answers={200: out.WebhookAnswer}, group=WEBHOOKS
    ),
    ("DELETE", f"{V1}/webhooks/{{id}}"): Operation(answers={204: None}, group=WEBHOOKS),
    ("GET", f"{V1}/webhooks/{{id}}/dead"): Operation(
        query={"limit": count_up_to(MAX_LETTERS)},
        answers={200: out.DeadLettersAnswer},
        group=WEBHOOKS,
    ),
    ("POST", f"{V1}/webhooks/{{id}}/replay"): Operation(
        body=body.ReplayBody, answers={202: out.ReplayedAnswer}, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks/{{id}}/rotate"): Operation(
        body=body.RotateBody, answers={200: out.WebhookSecretAnswer}, group=WEBHOOKS
    ),
    ("POST", f"{V1}/webhooks/{{id}}/enable"): Operation(
        answers={200: out.WebhookAnswer}, group=WEBHOOKS
    ),
}

SIGN_IN_OPERATIONS: OperationTable = {
    ("GET", "/auth/session"): Operation(
        answers={200: out.SignInAnswer}, is_public=True, group=SIGN_IN
    ),
    **{
        ("GET", path): Operation(
            answers={302: None},
            errors=(400, 401, 403, 404, 503),
            is_public=True,
            group=SIGN_IN,
        )
        for path in ("/auth/login", "/auth/password", "/auth/callback")
    },
    ("POST", "/auth/refresh"): Operation(
        answers={200: out.RefreshedSession}, errors=(503,), group=SIGN_IN
    ),
    ("POST", "/auth/logout"): Operation(
        answers={200: out.SignedOutAnswer}, group=SIGN_IN
    ),
}
