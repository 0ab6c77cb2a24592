"""An issuer of tokens, and clients that get theirs from it."""
