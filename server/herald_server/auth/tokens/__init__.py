"""Authentication: static tokens of a herald.toml, JWTs, and minted tokens."""

from herald_server.auth.tokens.authenticator import Authenticator, BadToken

__all__ = ["Authenticator", "BadToken"]
