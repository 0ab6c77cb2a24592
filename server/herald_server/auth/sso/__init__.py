"""Single sign-on: people who sign in with OpenID Connect, a proxy or a password."""
