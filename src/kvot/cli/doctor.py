"""`kvot doctor`: what is wrong, or will be, and what to do next. Looks only.

A check asks one question and gives one finding. It must not fail itself: what it cannot find out is a finding too.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kvot.cli import checks, server_checks, show
from kvot.cli.findings import Finding, Grade
from kvot.cli.options import NO_OPTIONS, Options
from kvot.settings import Settings

_COLOURS: dict[Grade, Callable[[str], str]] = {Grade.OK: show.good, Grade.WARN: show.doubtful, Grade.FAIL: show.bad}


def doctor(*, options: Options = NO_OPTIONS) -> int:
    """Look for what is wrong, or will be, and say what to do: SQLite or PostgreSQL, database, secret, disk, clock,
    tokens, providers, settings.

    A server that has the database goes on meanwhile, and is asked whether it is ready. With --url: is that server
    reachable and ready, and is the key accepted? Nothing is changed, but that a database of an earlier version that no
    server has is brought up to date, as every command does that opens it. Exits with 1 if anything is wrong; a warning
    alone is no failure.

    For example:

    ```
    kvot doctor --database /var/lib/kvot/kvot.db
    kvot doctor --url http://127.0.0.1:8080
    ```
    """
    settings = options.settings(needs_secret=False)
    is_remote = settings.url is not None and options.database is None
    findings = list(_remote(settings) if is_remote else _local(settings))
    shown = None if is_remote else in_effect(settings)  # a server's own are not known here
    if options.json:
        show.document({"findings": [each.as_document() for each in findings], "settings": shown})
    else:
        _print(findings)
        if shown is not None:
            _print_settings(shown)
    return 1 if any(each.grade is Grade.FAIL for each in findings) else 0


def _local(settings: Settings) -> Iterator[Finding]:
    yield from checks.engine(settings)
    yield from (found := list(checks.database(settings)))
    yield from checks.secret(settings, is_usable=all(each.grade is not Grade.FAIL for each in found))
    yield from checks.secret_fits(settings)
    yield from checks.folder(settings)
    yield checks.clock()
    yield checks.tokens(settings)
    yield checks.providers(settings)


def _remote(settings: Settings) -> Iterator[Finding]:
    from kvot.cli.target import Remote

    assert settings.url is not None
    remote = Remote(settings.url, settings.api_key)
    try:
        yield from server_checks.server(remote.client, has_key=settings.api_key is not None)
    finally:
        remote.close()


def in_effect(settings: Settings) -> dict[str, Any]:
    """Every setting as it is in effect; of a secret only whether there is one."""
    shown: dict[str, Any] = {}
    for name, field in Settings.__dataclass_fields__.items():
        value = getattr(settings, name)
        if isinstance(value, tuple):
            value = ", ".join(map(str, value)) or None
        if value is not None and not field.repr and name != "database":
            value = "***"
        shown[name] = value if value is None or isinstance(value, int) else str(value)
    if not str(shown["database"]).startswith("sqlite:"):  # the address of a database server may hold a password
        shown["database"] = "***"
    return shown


def _print(findings: list[Finding]) -> None:
    width = max(len(each.name) for each in findings)
    for each in findings:
        print(f"{_COLOURS[each.grade](f'{each.grade.value:<4}')}  {each.name:<{width}}  {each.detail}")
        if each.advice:
            print(f"      {'':<{width}}  → {each.advice}")


def _print_settings(shown: dict[str, Any]) -> None:
    print()
    show.lines((name, "-" if value is None else str(value)) for name, value in shown.items())
