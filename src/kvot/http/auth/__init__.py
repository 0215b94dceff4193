"""Who is calling: one function from a request's credentials to a `Principal`. Knows nothing of requests or replies."""

from kvot.http.auth.authenticator import Authenticator, make_authenticator

__all__ = ["Authenticator", "make_authenticator"]
