"""The questions of `kvot doctor` to a running server: one that was named, or the one that has the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kvot.cli.findings import Finding, Grade
from kvot.cli.options import NO_KEY, WRONG_KEY
from kvot.cli.running import run
from kvot.core.errors import Forbidden, InvalidRequest, KvotError, NotAuthenticated, StoreUnavailable
from kvot.settings import Settings

if TYPE_CHECKING:
    from kvot.client.sync import Client
    from kvot.stores.sqlite.lock import Holder

_OK_STATUS = 200


def server(client: "Client", *, has_key: bool) -> Iterator[Finding]:
    """Can it be reached, is it ready, and is the key accepted, if one was given?"""
    from kvot.contract.usage import GetAiChatUsage

    readiness, is_reached = _readiness(client)
    yield readiness
    if not is_reached:
        return
    try:
        client.call(GetAiChatUsage())
    except KvotError as error:
        yield _key(error, has_key)
    else:
        yield Finding("key", Grade.OK, "accepted")


def _key(error: KvotError, has_key: bool) -> Finding:
    if isinstance(error, Forbidden):  # a key that is of no company is a key all the same
        return Finding("key", Grade.OK, "accepted, and of no company: commands name one with --company")
    if isinstance(error, NotAuthenticated):
        said = "not accepted" if has_key else "none was given"
        return Finding("key", Grade.FAIL, said, WRONG_KEY if has_key else NO_KEY)
    return Finding("key", Grade.FAIL, error.message)


def holder(path: Path) -> "Holder | None":
    """Who has the database, if anybody."""
    from kvot.stores.sqlite.lock import holder_of
    from kvot.stores.sqlite.store import only_name

    try:
        return holder_of(only_name(path))
    except StoreUnavailable:  # which opening it will tell
        return None


def beside(settings: Settings, holder: "Holder") -> Iterator[Finding]:
    """What can be told of a database that another process has: that it has it, what it keeps, and how it answers."""
    if holder.url is None:
        detail = f"held by {holder.process}, which says no address: a command, or a server that is just starting"
        yield Finding("lock", Grade.OK, detail)
    else:
        yield Finding("lock", Grade.OK, f"held by {holder.process}, a server that runs at {holder.url}")
    yield _schema(settings)
    if holder.url is not None:
        yield _asked(holder.url)


def _schema(settings: Settings) -> Finding:
    from kvot.bootstrap import rules_of
    from kvot.stores.archives import open_source

    async def look() -> int:
        source = await open_source(settings.database, rules_of(settings))
        try:
            return len(await source.companies())
        finally:
            await source.close()

    try:
        companies = run(look())
    except StoreUnavailable as error:
        return Finding("schema", Grade.FAIL, error.message)
    return Finding("schema", Grade.OK, f"current, {companies:,} companies")


def _asked(url: str) -> Finding:
    from kvot.cli.connecting import connect

    try:
        with connect(url, None) as client:
            return _readiness(client)[0]
    except InvalidRequest as error:
        return Finding("server", Grade.FAIL, error.message)


def _readiness(client: "Client") -> tuple[Finding, bool]:
    """What the server says of itself, and whether it said anything."""
    try:
        status, body = client.get("/readyz")
    except StoreUnavailable as error:
        return Finding("server", Grade.FAIL, error.message, "Is it running, and is the address right?"), False
    if status != _OK_STATUS:
        return Finding("server", Grade.FAIL, body.decode(errors="replace")), True
    problem = _problem(body)
    if problem is not None:
        advice = "Tokens signed with keys that it does not know are refused. Look at KVOT_JWT_JWKS_URL and its signer."
        return Finding("server", Grade.WARN, f"ready. {problem}", advice), True
    return Finding("server", Grade.OK, "ready"), True


def _problem(body: bytes) -> str | None:
    try:
        said: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:  # something else answers there
        return None
    problem = said.get("problem") if isinstance(said, dict) else None
    return problem if isinstance(problem, str) else None
