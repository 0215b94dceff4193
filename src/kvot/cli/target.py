"""Where a command's question goes: a database in this process, or a running server. Both answer alike."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from kvot.cli.importers import Importer
from kvot.cli.running import Runner, run
from kvot.contract import OPERATIONS
from kvot.contract.describe import Request
from kvot.core.errors import Forbidden, InvalidRequest, StoreUnavailable
from kvot.core.principal import SUPERADMIN, Principal
from kvot.core.store import OnEvents, ignore
from kvot.operations.imports import Tally
from kvot.settings import Settings

OPERATOR = Principal(None, None, frozenset({SUPERADMIN}), "cli")
"""Whoever can open the database's files may do everything to it."""

OnTally = Callable[[Tally], None]


class Target(Protocol):
    name: str
    """What messages call it."""

    def call(self, request: Request, *, idempotency_key: str | None = None, on_events: OnEvents = ignore) -> Any:
        """The response. Raises KvotError. `on_events` is told how far a long operation is, by a database in this
        process; a server tells when it is done."""
        ...

    def importer(self, company_id: str | None, on_tally: OnTally) -> Importer:
        """Takes rows and counts them in batches, telling of each batch once it is durable."""
        ...

    def close(self) -> None: ...


class Local:
    """A database, opened for one command. Raises SettingsError and StoreUnavailable."""

    def __init__(self, settings: Settings, *, with_secret: bool) -> None:
        from kvot.bootstrap import open_services

        self.name = str(settings.database_path or "the database")
        self.settings = settings
        self.house = open_services(settings, with_secret=with_secret)
        self.runner = Runner()
        try:
            self.runner.run(self.house.check_secret())
        except StoreUnavailable:
            self.close()
            raise

    def call(self, request: Request, *, idempotency_key: str | None = None, on_events: OnEvents = ignore) -> Any:
        from kvot.operations import Caller, perform

        operation = OPERATIONS[type(request).__name__.lower()]
        caller = Caller(OPERATOR, idempotency_key)
        try:
            services = replace(self.house.services, on_events=on_events)
            return self.runner.run(perform(services, caller, operation, request))
        except Forbidden as error:
            if getattr(request, "company_id", None) is None:
                raise Forbidden("Name a company with --company.") from error
            raise

    def importer(self, company_id: str | None, on_tally: OnTally) -> Importer:
        from kvot.cli.importers import LocalImporter

        return LocalImporter(self.house.services.ledger, self.runner, OPERATOR, company_id, on_tally)

    def close(self) -> None:
        self.runner.run(self.house.close())
        self.runner.close()


class Remote:
    """A running server."""

    def __init__(self, url: str, api_key: str | None) -> None:
        from kvot.cli.connecting import connect

        self.name = url
        self.client = connect(url, api_key)

    def call(self, request: Request, *, idempotency_key: str | None = None, on_events: OnEvents = ignore) -> Any:
        from kvot.operations.holds import UNREACHABLE
        from kvot.operations.refusals import no_hold
        from kvot.operations.validation import violations

        if faults := violations(request):  # of a number that is too great for its type a server names no range
            raise InvalidRequest.of_fields(faults)
        if getattr(request, "hold_id", None) in UNREACHABLE:
            raise no_hold()
        return self.client.call(request, idempotency_key=idempotency_key)

    def importer(self, company_id: str | None, on_tally: OnTally) -> Importer:
        from kvot.cli.importers import RemoteImporter

        return RemoteImporter(self.client, company_id, on_tally)

    def close(self) -> None:
        self.client.close()


def open_target(settings: Settings, *, local: bool, make: bool, makes_keys: bool) -> Target:
    """`local`: a database was named on the command line, which counts for more than a server in the environment.

    The secret is read where keys are made, and where a database file is: that makes the secret's file beside it.
    """
    if settings.url is not None and not local:
        return Remote(settings.url, settings.api_key)
    path = settings.database_path
    if not make and path is not None and not path.exists():
        message = f"{path} does not exist. Name the database with --database, or a running server with --url."
        raise StoreUnavailable(message)
    is_new = path is not None and not (path.exists() and path.stat().st_size)
    return Local(settings, with_secret=makes_keys or is_new)


def accept_secret(settings: Settings) -> str:
    """Have a database take the present secret, whichever it was before; what people call it."""
    from kvot.bootstrap import open_services

    async def accept() -> str:
        house = open_services(settings)
        try:
            assert house.secret is not None, "it was opened with it"
            now_ms = house.services.ledger.now_ms()
            await house.store.bind_secret(house.secret.check, replaced_by=OPERATOR.credential_id, now_ms=now_ms)
            return house.secret.name
        finally:
            await house.close()

    return run(accept())
