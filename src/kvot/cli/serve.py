"""`kvot serve`: answer over HTTP until told to stop."""

import shlex
import sys
from typing import Annotated

from cyclopts import Parameter

from kvot.bootstrap import rules_of, wall_ms
from kvot.bootstrap import serve as serve_house
from kvot.cli import show
from kvot.cli.demo import Demo, prepare
from kvot.cli.options import NO_DATABASE_OPTIONS, DatabaseOptions
from kvot.cli.running import run
from kvot.cli.target import Local
from kvot.core.keys import ApiKey
from kvot.settings import Settings, providers_of
from kvot.stores import open_store


def serve(
    *,
    host: Annotated[str | None, Parameter(help="The address to listen on. Default: this machine alone.")] = None,
    port: Annotated[
        int | None, Parameter(help="The port. 0: any that is free. Default: KVOT_PORT, PORT or 8080.")
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="Processes behind the port, on PostgreSQL alone. Default: KVOT_WORKERS, WEB_CONCURRENCY or 1."),
    ] = None,
    demo: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Fill a demo company with generated history, and make a key."),
    ] = False,
    options: DatabaseOptions = NO_DATABASE_OPTIONS,
) -> int:
    """Serve over HTTP: on an embedded database, which this process alone may open, or on PostgreSQL, which any number
    of servers share. Ctrl-C finishes what is in flight.

    --json prints one document when it answers: its address, and with --demo the company and its key.

    For example:

    ```
    kvot serve --demo
    kvot serve --host 0.0.0.0 --port 80 --database /var/lib/kvot/kvot.db
    kvot serve --database postgresql://kvot@db.internal/kvot --workers 4
    ```
    """
    settings = options.database_settings(needs_secret=True, host=host, port=port, workers=workers)
    shown = prepare_demo(settings) if demo else None
    is_first = not (demo or options.json) and not _has_operator(settings)

    def on_started(url: str) -> None:
        if options.json:
            show.document({"url": url} | ({"companyId": shown.company_id, "apiKey": shown.key} if shown else {}))
            return
        print(f"Kvot answers at {url}")
        if shown:
            _print_demo(shown, url)
        else:
            _print_first_steps(url, settings, is_first=is_first)
        if providers := providers_of(settings):
            print(f"Gateway:      {', '.join(f'{url}/{provider.name}' for provider in providers)}")
        print("\nCtrl-C stops.")
        sys.stdout.flush()

    return serve_house(settings, on_started=on_started)


def prepare_demo(settings: Settings) -> Demo:
    local = Local(settings, with_secret=True)
    try:
        return prepare(local)
    finally:
        local.close()


def _has_operator(settings: Settings) -> bool:
    """Whether a key of a superadmin works that could make others. Asked before the start, which keeps a file to itself;
    of a file that is not there, which must not be made without its secret, nothing is. Raises StoreUnavailable."""
    path = settings.database_path
    if path is not None and not (path.exists() and path.stat().st_size):
        return False
    keys = run(_keys(settings))
    return any(key.principal.is_superadmin and key.is_live(wall_ms()) for key in keys)


async def _keys(settings: Settings) -> list[ApiKey]:
    store = open_store(settings.database, rules_of(settings), wall_ms)
    try:
        return await store.list_keys()
    finally:
        await store.close()


def _print_demo(demo: Demo, url: str) -> None:
    filled = f"filled with {demo.events:,} generated events" if demo.events else "filled on an earlier start"
    print(
        f"""
Demo company  {demo.company_id}
              {filled}: nobody's real usage
API key       {demo.key}
              new on each start; earlier demo keys are revoked
Try it        curl -H "x-api-key: {demo.key}" {url}/assistant/ai-chat/usage
Look around   {url}/metadata"""
    )


def _print_first_steps(url: str, settings: Settings, *, is_first: bool) -> None:
    first = f" {_first_key(settings)}" if is_first else ""
    print(
        f"""
Make a key:   kvot keys create --company GUID --url {url}
              with a superadmin's key in KVOT_API_KEY.{first}
Ask:          curl -H "x-api-key: KEY" {url}/assistant/ai-chat/usage
Look around:  {url}/metadata"""
    )


def _first_key(settings: Settings) -> str:
    """How the first one is made, which no key can make."""
    if settings.database_path is None:
        return "The first: kvot keys create --role superadmin, on the database."
    where = f" --database {shlex.quote(str(settings.database_path))}"
    return f"The first is made before the start:\n              kvot keys create --role superadmin{where}"
