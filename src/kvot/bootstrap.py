"""Wires everything once, from the settings. The one place that knows every room; nothing here decides anything."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kvot.core.budget import Budget, Rules
from kvot.core.clock import SteadyClock
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import API_KEY_PEPPER, ATTEMPTS, SECRET_CHECK, derive_key
from kvot.core.ledger import Ledger
from kvot.core.window import MS_PER_SECOND
from kvot.operations.expiring import expire_now_and_then
from kvot.operations.ids import new_gateway_id, new_id
from kvot.operations.sealing import PURPOSE as SEALING
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys, Services
from kvot.settings import ProviderSettings, Settings, SettingsError, providers_of, read_secret, wants_no_colour
from kvot.stores import Engine, open_store

if TYPE_CHECKING:
    from kvot.gateway.counting import Counting
    from kvot.gateway.gateway import Gateway
    from kvot.http.app import App
    from kvot.http.auth import KeysAndTokens
    from kvot.http.health import Health
    from kvot.http.server import Stopper
    from kvot.http.workers import Place
    from kvot.telemetry.tally import Tallies

_NS_PER_MS = 1_000_000
_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock (Linux): no wake-up looks like a leap."""


@dataclass(frozen=True, slots=True)
class OpenedSecret:
    """What is known of the secret once it was read: what people call it, what tells it from another, and the key of
    the gateway's attempts."""

    name: str
    check: bytes
    attempts_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class House:
    """The services of one process and what they stand on."""

    services: Services
    store: Engine
    clock: SteadyClock
    secret: "OpenedSecret | None"

    async def check_secret(self) -> None:
        """Raise StoreUnavailable if the keys in the database were made under another secret than there is now. The
        database may be given another one while we run."""
        if self.secret is None or await self.store.bind_secret(self.secret.check):
            return
        raise StoreUnavailable(
            f"The secret ({self.secret.name}) is not the one that the keys in this database were made under: none of "
            "them would be taken. Put the right one back: where it was replaced, that is the new one. If it is lost: "
            "kvot keys accept-secret, then make new keys.",
            in_public="The secret of this server is not the one that the keys in the database were made under. Where "
            "it was replaced (kvot keys accept-secret), start the server again with the new one.",
        )

    async def close(self) -> None:
        await self.store.close()


def open_services(settings: Settings, *, with_secret: bool = True) -> House:
    """Open the database and all that works on it. Raises SettingsError and StoreUnavailable.

    with_secret: False where no key is made or proven. The secret is then not read, and need not be there.
    """
    secret = read_secret(settings) if with_secret else None
    clock = SteadyClock(wall_ms, _steady_ms)
    store = open_store(settings.database, rules_of(settings), clock)
    offered = tuple(one.name for one in providers_of(settings))
    sealer = Sealer(derive_key(secret, SEALING)) if secret else None
    pepper = derive_key(secret, API_KEY_PEPPER) if secret else None
    opened = _opened(settings, secret) if secret else None
    check = opened.check if opened else None
    keys = ProviderKeys(store, sealer, offered)
    services = Services(Ledger(store, clock), store, pepper, new_id, keys, secret_check=check)
    return House(services, store, clock, opened)


def _opened(settings: Settings, secret: bytes) -> OpenedSecret:
    return OpenedSecret(name_of_secret(settings), derive_key(secret, SECRET_CHECK), derive_key(secret, ATTEMPTS))


def name_of_secret(settings: Settings) -> str:
    return "KVOT_SECRET" if settings.secret_path is None or settings.secret is not None else str(settings.secret_path)


def rules_of(settings: Settings) -> Rules:
    return Rules(
        default_budget=Budget(settings.default_token_limit, settings.default_window_days),
        retention_days=settings.retention_days,
    )


def wall_ms() -> int:
    return time.time_ns() // _NS_PER_MS


def _steady_ms() -> int:
    return time.clock_gettime_ns(_STEADY_CLOCK) // _NS_PER_MS


def serve(settings: Settings, *, on_started: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit code. `on_started` is given the address.

    The rooms that only a server needs are imported here, so that no command waits for them.
    """
    import uvloop

    from kvot.telemetry.logs import configure

    if settings.workers != 1 and settings.database_path is not None:
        raise SettingsError(
            f"--workers (KVOT_WORKERS, WEB_CONCURRENCY) is {settings.workers}: an embedded database is written by one "
            "process alone. Serve with one worker, or keep the ledger in PostgreSQL (kvot copy takes it there)."
        )
    configure(level=settings.log_level, has_colours=not wants_no_colour(os.environ))
    if settings.workers == 1:
        return uvloop.run(_serve(settings, on_started))
    return _serve_with_workers(settings, on_started)


def _serve_with_workers(settings: Settings, on_started: Callable[[str], None]) -> int:
    import uvloop

    from kvot.http.server import cannot_listen
    from kvot.http.workers import Place, Workers

    def work(place: Place) -> int:
        return uvloop.run(_serve(replace(settings, port=place.port), lambda url: place.say_ready(), place))

    try:
        workers = Workers(settings.workers, settings.host, settings.port, work, on_started)
    except OSError as error:
        raise cannot_listen(settings.host, settings.port, error) from error
    return workers.run()


async def _serve(settings: Settings, on_started: Callable[[str], None], place: "Place | None" = None) -> int:
    """`place`: where this is one of several workers. Raises StoreUnavailable for a database that cannot be used.

    Only a start asks. A worker that follows one that ended starts also while the database is away, and says 503.
    """
    from kvot.http.forwarded import Forwarded
    from kvot.http.server import Stopper
    from kvot.http.server import serve as serve_app
    from kvot.http.workers import listen_shared
    from kvot.stores.sqlite import SqliteStore
    from kvot.telemetry.logs import ended

    house, stopper = open_services(settings), Stopper()
    store = house.store
    if place is None or place.is_first:
        await _need_ready(house)
    app, close_app = open_app(settings, house)
    expiring = asyncio.create_task(expire_now_and_then(house.services.ledger))
    expiring.add_done_callback(ended)
    if isinstance(store, SqliteStore):
        store.on_fatal(lambda reason: stopper.fail())

    def tell(url: str) -> None:
        if isinstance(store, SqliteStore):
            store.set_url(url)
        on_started(url)

    async def close(within_s: float) -> None:
        expiring.cancel()
        await close_app(within_s)

    served = Forwarded(app, settings.forwarded_allow_ips) if settings.forwarded_allow_ips else app
    listen = None if place is None else listen_shared
    if place is not None:
        asyncio.get_running_loop().add_reader(place.lifeline, _stop_once, place.lifeline, stopper)
    return await serve_app(
        served, settings.host, settings.port, on_started=tell, close=close, stopper=stopper, listen=listen
    )


async def _need_ready(house: House) -> None:
    """A person who starts a server is told what is wrong there and then, and not only whoever asks /readyz."""
    try:
        await house.store.ready()
        await house.check_secret()
    except StoreUnavailable:
        await house.close()
        raise


def _stop_once(lifeline: int, stopper: "Stopper") -> None:
    """The parent is gone: what it held is closed, and stays readable for as long as anybody looks."""
    asyncio.get_running_loop().remove_reader(lifeline)
    stopper.stop()


def open_app(settings: Settings, house: House) -> "tuple[App, Callable[[float], Awaitable[None]]]":
    """The ASGI application over a house, and what lets go of both, within so many seconds. To be called in a running
    loop."""
    from kvot.http.app import App, HttpSettings
    from kvot.http.auth import make_authenticator
    from kvot.http.cors import Cors
    from kvot.http.gateway import GatewayEdge
    from kvot.http.metrics import MetricsPage
    from kvot.http.pages import Pages
    from kvot.http.requestlog import EVERY_STATUS, REFUSED_STATUS, RequestLog
    from kvot.http.sessions import PURPOSE, Sessions
    from kvot.http.signin import SignIn
    from kvot.http.unconfigured import Unconfigured
    from kvot.telemetry.metrics import CONTENT_TYPE, Metrics
    from kvot.telemetry.tally import Requests, Tallies
    from kvot.wire.style import JsonCase, Style

    style = Style(JsonCase(settings.json_case))
    services = house.services
    assert services.pepper is not None, "a server proves keys"
    authenticator = make_authenticator(settings, house.store, services.pepper, services.ledger.now_ms)
    health = _open_health(house, authenticator)
    tallies = Tallies()
    gateway = open_gateway(settings, house, tallies)
    requests = Requests()
    metrics = Metrics(tallies, requests, worker=str(os.getpid()) if settings.workers > 1 else None)
    status = int(settings.exhausted_status)
    origins = frozenset((settings.cors_origins or "").split(",")) - {""}
    log = RequestLog(EVERY_STATUS if settings.log_level == "debug" else REFUSED_STATUS)
    app = App(
        services,
        authenticator,
        health,
        settings=HttpSettings(style=style, allows_jsonp=settings.jsonp == "on", cors_origins=origins),
        sign_in=SignIn(authenticator, Sessions(derive_key(read_secret(settings), PURPOSE)), services.ledger.now_ms),
        surfaces=[
            Pages(style, datetime.now),
            MetricsPage(metrics.text, CONTENT_TYPE),
            Unconfigured([one.name for one in providers_of(settings)], authenticator),
        ],
        gateway=GatewayEdge(
            gateway, authenticator, health, log=log, exhausted_status=status, cors=Cors(origins), calls=tallies.calls
        )
        if gateway
        else None,
        log=log,
        requests=requests,
        clock=services.ledger.now_ms,
    )

    async def close(within_s: float) -> None:
        if gateway is not None:
            await gateway.close(within_s)
        await authenticator.close()
        await house.close()

    return app, close


def _open_health(house: House, authenticator: "KeysAndTokens") -> "Health":
    from kvot.http.health import Health

    return Health(
        house.services.ledger,
        lambda: _refused_leap_ms(house.clock),
        lambda: authenticator.problem,
        check_secret=house.check_secret,
    )


def _refused_leap_ms(clock: SteadyClock) -> int:
    """As the clock is now: a server that nothing is sent to, for it is not ready, reads it for nobody else."""
    clock()
    return clock.refused_leap_ms


def open_gateway(settings: Settings, house: House, tallies: "Tallies") -> "Gateway | None":
    """The gateway to the providers that the settings name; None where they name none. Raises SettingsError.

    What its calls come to is counted in `tallies`.
    """
    from kvot.gateway.call import Books
    from kvot.gateway.elsewhere import Elsewhere
    from kvot.gateway.estimate import Estimator
    from kvot.gateway.gateway import Gateway, Terms
    from kvot.gateway.holding import Ceilings
    from kvot.gateway.own_keys import OwnKeys
    from kvot.gateway.provider import Provider
    from kvot.gateway.providers import DIALECTS
    from kvot.gateway.settling import Settler
    from kvot.gateway.stored import StoredReplies
    from kvot.gateway.upstream.forward import ForwardUpstream

    services = house.services
    named = providers_of(settings)
    check_dialects(named)
    if not named:
        return None
    providers = {
        one.name: Provider(one.name, DIALECTS[one.dialect], one.base_url, one.api_key, one.needs_key) for one in named
    }
    estimator = Estimator(holds_bound=settings.input_hold != "learned")
    percent, keeps_receipts = settings.cached_token_percent, settings.receipts == "on"
    books = Books(services.ledger, Settler(services.ledger), estimator, percent, keeps_receipts, tallies)
    ceilings = Ceilings(
        settings.output_tokens_max,
        settings.output_tokens_min,
        clamps=settings.clamp != "off",
        names=settings.clamp == "on",
    )
    counting = open_counting() if settings.input_hold == "exact" else None
    terms = Terms(ceilings, settings.hold_ttl_s * MS_PER_SECOND, settings.call_max_s, counting)
    assert services.provider_keys.sealer is not None, "a server opens keys"
    own_keys = OwnKeys(services.provider_keys.store, services.provider_keys.sealer)
    assert house.secret is not None, "a server has the secret"
    elsewhere = Elsewhere(services.ledger, books.settler, house.secret.attempts_key, settings.call_max_s)
    stored = StoredReplies(house.store, services.ledger.now_ms, are_shared=settings.stored_responses == "shared")
    return Gateway(providers, ForwardUpstream(), books, terms, new_gateway_id, own_keys, stored, elsewhere)


def check_dialects(named: tuple[ProviderSettings, ...]) -> None:
    """Raises SettingsError where a provider is to speak what nobody here knows: settings alone cannot tell."""
    from kvot.gateway.providers import DIALECTS

    known = ", ".join(DIALECTS)
    unknown = [one for one in named if one.dialect not in DIALECTS]
    faults = [f"The dialect of the provider {one.name} is '{one.dialect}': must be one of {known}." for one in unknown]
    if faults:
        raise SettingsError(*faults)


def open_counting() -> "Counting":
    """Raises SettingsError where the tokenizer is not installed."""
    from kvot.gateway.counting import Counting
    from kvot.gateway.vocabularies import VocabulariesMissing, open_vocabularies

    try:
        return Counting(open_vocabularies())
    except VocabulariesMissing as error:
        raise SettingsError(
            "KVOT_INPUT_HOLD is exact, but the tokenizer is not installed: .venv/bin/pip install -e '.[tokenizer]' in "
            "Kvot's folder, or set KVOT_INPUT_HOLD to bound."
        ) from error
