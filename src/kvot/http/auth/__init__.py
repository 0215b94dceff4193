"""Who is calling: one function from a request's credentials to a `Principal`. Knows nothing of requests or replies."""

from kvot.http.auth.keys_and_tokens import KeysAndTokens, make_authenticator

__all__ = ["KeysAndTokens", "make_authenticator"]
