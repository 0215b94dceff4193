"""Wires everything once, from the settings. The one place that knows every room; nothing here decides anything."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from kvot.core.budget import Budget, Rules
from kvot.core.clock import SteadyClock
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import API_KEY_PEPPER, derive_key
from kvot.core.ledger import Ledger
from kvot.operations.services import Services
from kvot.settings import Settings, SettingsError, read_secret
from kvot.stores import Engine, open_store

if TYPE_CHECKING:
    from kvot.http.server import Stopper
    from kvot.http.workers import Place

_NS_PER_MS = 1_000_000
_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock (Linux): no wake-up looks like a leap."""


@dataclass(frozen=True, slots=True)
class House:
    """The services of one process and what they stand on."""

    services: Services
    store: Engine
    clock: SteadyClock

    async def close(self) -> None:
        await self.store.close()


def open_services(settings: Settings) -> House:
    """Open the database and all that works on it. Raises SettingsError and StoreUnavailable."""
    pepper = derive_key(read_secret(settings), API_KEY_PEPPER)
    store = open_store(settings.database, rules_of(settings))
    clock = SteadyClock(_wall_ms, _steady_ms)
    return House(Services(Ledger(store, clock), store, pepper, new_id), store, clock)


def rules_of(settings: Settings) -> Rules:
    return Rules(
        default_budget=Budget(settings.default_token_limit, settings.default_window_days),
        retention_days=settings.retention_days,
    )


def new_id() -> str:
    return str(uuid4())


def _wall_ms() -> int:
    return time.time_ns() // _NS_PER_MS


def _steady_ms() -> int:
    return time.clock_gettime_ns(_STEADY_CLOCK) // _NS_PER_MS


def serve(settings: Settings, *, on_started: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit code. `on_started` is given the address.

    The rooms that only a server needs are imported here, so that no command waits for them.
    """
    import uvloop

    from kvot.telemetry.logs import configure

    configure()
    if settings.workers == 1:
        return uvloop.run(_serve(settings, on_started))
    return _serve_with_workers(settings, on_started)


def _serve_with_workers(settings: Settings, on_started: Callable[[str], None]) -> int:
    import uvloop

    from kvot.http.workers import Place, Workers

    if settings.database_path is not None:
        raise SettingsError(
            f"KVOT_WORKERS is {settings.workers}: an embedded database is written by one process alone. Serve with one "
            "worker, or keep the ledger in PostgreSQL (kvot copy takes it there)."
        )

    def work(place: Place) -> int:
        return uvloop.run(_serve(replace(settings, port=place.port), lambda url: place.say_ready(), place))

    try:
        workers = Workers(settings.workers, settings.host, settings.port, work, on_started)
    except OSError as error:
        raise StoreUnavailable(f"Cannot listen at {settings.host} port {settings.port}: {error.strerror}.") from error
    return workers.run()


async def _serve(settings: Settings, on_started: Callable[[str], None], place: "Place | None" = None) -> int:
    """`place`: where this is one of several workers."""
    from kvot.http.app import App, HttpSettings
    from kvot.http.auth import make_authenticator
    from kvot.http.health import Health
    from kvot.http.pages import Pages
    from kvot.http.server import Stopper
    from kvot.http.server import serve as serve_app
    from kvot.http.sessions import PURPOSE, Sessions
    from kvot.http.signin import SignIn
    from kvot.http.workers import listen_shared
    from kvot.stores.sqlite import SqliteStore
    from kvot.wire.style import JsonCase, Style

    style = Style(JsonCase(settings.json_case))
    house = open_services(settings)
    services, store, stopper = house.services, house.store, Stopper()
    authenticator = make_authenticator(settings, store, services.pepper, services.ledger.now_ms)
    health = Health(services.ledger, lambda: house.clock.refused_leap_ms)
    app = App(
        services,
        authenticator,
        health,
        settings=HttpSettings(
            style=style,
            allows_jsonp=settings.jsonp == "on",
            cors_origins=frozenset((settings.cors_origins or "").split(",")) - {""},
        ),
        sign_in=SignIn(authenticator, Sessions(derive_key(read_secret(settings), PURPOSE)), services.ledger.now_ms),
        surfaces=[Pages(style, datetime.now)],
        clock=services.ledger.now_ms,
    )
    if isinstance(store, SqliteStore):
        store.on_fatal(lambda reason: stopper.fail())

    def tell(url: str) -> None:
        if isinstance(store, SqliteStore):
            store.set_url(url)
        on_started(url)

    async def close() -> None:
        await authenticator.close()
        await house.close()

    listen = None if place is None else listen_shared
    if place is not None:
        asyncio.get_running_loop().add_reader(place.lifeline, _stop_once, place.lifeline, stopper)
    return await serve_app(
        app, settings.host, settings.port, on_started=tell, close=close, stopper=stopper, listen=listen
    )


def _stop_once(lifeline: int, stopper: "Stopper") -> None:
    """The parent is gone: what it held is closed, and stays readable for as long as anybody looks."""
    asyncio.get_running_loop().remove_reader(lifeline)
    stopper.stop()
