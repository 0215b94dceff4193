"""What a client is told when a provider refuses the key that its call went out under, which is not the client's own.

In the provider's words that would be "your key is wrong", to somebody whose key to Kvot is right. So it is said whose
key it is: ours, for whoever runs the gateway to mend, or the company's own. The provider's words go no further, as they
may quote a part of the key; the one word of them for machines does, to the client and to the log.
"""

import re

import msgspec

from kvot.core.errors import KvotError, ProviderFailed, ProviderKeyRefused
from kvot.gateway.provider import Provider

FORBIDDEN = 403

_CODE = re.compile(r"[A-Za-z_]{3,64}")
"""No key, and no name of an account's, looks like this."""


def refused_key(provider: Provider, status: int, body: bytes) -> KvotError | None:
    """What to answer in place of a provider's refusal; None: with its own words.

    What a company's own account may not (403) is between the company and its provider.
    """
    if not provider.dialect.refuses_key(status, body):
        return None
    if provider.has_own_key:
        return None if status == FORBIDDEN else ProviderKeyRefused(provider.name)
    code = _code(body)
    told = f"status {status}" if code is None else f"status {status}, {code}"
    why = "because of the gateway's own key to it" if provider.api_key else "as the gateway has no key to it"
    message = (
        f"The provider {provider.name} refuses the call {why} ({told}). The key that you sent is not at fault: whoever "
        "runs the gateway has to see to it."
    )
    return ProviderFailed(message, provider=provider.name, status=status, is_final=True)


def _code(body: bytes) -> str | None:
    """By which word the provider's own clients tell its errors apart; None where it gives none."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(document, list) and document:  # a stream of Gemini's that is an array
        document = document[0]
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return None
    words = (error.get(name) for name in ("code", "type", "status"))
    return next((word for word in words if isinstance(word, str) and _CODE.fullmatch(word)), None)
