"""Tokens that are not one chosen word: from herald.toml, JWTs, and minted ones."""

from herald_server.tokens.keyring import BadToken, Keyring

__all__ = ["BadToken", "Keyring"]
