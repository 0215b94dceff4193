"""The commands by name. Each stands in a module of its own, imported when it is called for."""

import sys
from collections.abc import Mapping, Sequence

from cyclopts import App

from kvot import __version__
from kvot.cli import FAILED, INTERRUPTED, show
from kvot.cli.options import UsageError
from kvot.core.errors import InvalidRequest, KvotError
from kvot.settings import SettingsError

NOT_UNDERSTOOD = 2

_HELP = """How many AI tokens has each company used in its rolling window, and may the next call go ahead?

Commands work on the database of --database in this process, as its operator; or, with --url and --api-key (or
KVOT_URL and KVOT_API_KEY), on a running server, as whoever the key belongs to. While a server holds an embedded
database, only --url reaches it, but for `events`, `backup`, `copy --from` and `doctor`, which read beside it."""

_EPILOGUE = """Start with `kvot serve --demo`. Settings: docs/reference/settings.md. Exit codes: 0 done, 1 failed or
refused, 2 not understood, 130 interrupted."""

_COMMANDS = {
    "serve": ("kvot.cli.serve:serve", "Serve over HTTP."),
    "usage": ("kvot.cli.usage:usage", "Show how many tokens a company has used, now or at any instant."),
    "record": ("kvot.cli.usage:record", "Record tokens that a company used."),
    "events": ("kvot.cli.events:events", "List a company's events, with what the providers told of their calls."),
    "import": ("kvot.cli.imports:import_", "Import usage from CSV, JSON Lines or JSON files."),
    "verify": ("kvot.cli.keeping:verify", "Prove the ledger: recompute every number from the events."),
    "prune": ("kvot.cli.keeping:prune", "Forget events that are older than the retention."),
    "backup": ("kvot.cli.backup:backup", "Write all that a database holds into one file."),
    "restore": ("kvot.cli.backup:restore", "Write all that a backup holds into an empty database."),
    "copy": ("kvot.cli.copy:copy", "Copy all that a database holds into another, of any engine."),
    "migrate": ("kvot.cli.migrate:migrate", "Bring a PostgreSQL database to the schema of this version."),
    "doctor": ("kvot.cli.doctor:doctor", "Look for what is wrong, or will be, and say what to do."),
}
_GROUPS = {
    "keys": (
        "Make, list, revoke and take over API keys.",
        {
            "create": ("kvot.cli.keys:create", "Make a key."),
            "list": ("kvot.cli.keys:list_", "List keys: their ids and what they may do."),
            "revoke": ("kvot.cli.keys:revoke", "Revoke a key."),
            "import": ("kvot.cli.keys:import_", "Take over keys that exist already."),
            "accept-secret": (
                "kvot.cli.keys:accept_secret",
                "Go on with another secret; keys made so far stop working.",
            ),
        },
    ),
    "provider-keys": (
        "Keep companies' own keys to providers.",
        {
            "set": ("kvot.cli.provider_keys:set_", "Keep a company's own key to a provider."),
            "list": ("kvot.cli.provider_keys:list_", "List to which providers a company has a key of its own."),
            "remove": ("kvot.cli.provider_keys:remove", "Forget a company's own key to a provider."),
        },
    ),
    "holds": (
        "List and release the tokens that are held for calls.",
        {
            "list": ("kvot.cli.holds:list_", "List a company's open holds."),
            "release": ("kvot.cli.holds:release", "Drop a hold whose call used nothing."),
        },
    ),
    "budget": (
        "Show and change what a company may use.",
        {
            "show": ("kvot.cli.budget:show", "Show the budget that applies now."),
            "set": ("kvot.cli.budget:set_", "Change the budget, from now on."),
            "history": ("kvot.cli.budget:history", "List the budgets so far."),
        },
    ),
}
"""By name: where the command stands, and its line in the list of commands, which is printed without importing it."""


def build(*, listing: bool) -> App:
    """`listing`: commands are only to be listed, by the one line of each; otherwise they speak for themselves."""
    app = App(
        name="kvot",
        help=_HELP,
        help_epilogue=_EPILOGUE,
        help_format="markdown",
        version=__version__,
        version_flags=["--version"],
        result_action="return_value",
        exit_on_error=False,
        print_error=True,
        suppress_keyboard_interrupt=False,
    )
    _add(app, _COMMANDS, listing)
    for group, (help_, commands) in _GROUPS.items():
        sub = App(name=group, help=help_)
        _add(sub, commands, listing)
        app.command(sub)
    return app


def _add(app: App, commands: Mapping[str, tuple[str, str]], listing: bool) -> None:
    for name, (place, line) in commands.items():
        if listing:
            app.command(place, name=name, help=line)
        else:
            app.command(place, name=name)


def _is_listing(arguments: Sequence[str]) -> bool:
    """True when no command is named, or only a group of them."""
    words = [each for each in arguments if not each.startswith("-")]
    return not words or (words[0] in _GROUPS and len(words) == 1)


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command line."""
    from cyclopts import CycloptsError

    as_json = "--json" in arguments
    try:
        result = build(listing=_is_listing(arguments))(arguments)
        return result if isinstance(result, int) else 0
    except CycloptsError:
        return NOT_UNDERSTOOD
    except UsageError as error:
        show.failure("InvalidRequest", str(error), (), as_json=as_json)
        return NOT_UNDERSTOOD
    except SettingsError as error:
        show.failure("InvalidSettings", str(error), (), as_json=as_json)
        return NOT_UNDERSTOOD
    except KvotError as error:
        fields = error.fields if isinstance(error, InvalidRequest) else ()
        show.failure(error.code, error.message, fields, as_json=as_json)
        return FAILED
    except OSError as error:
        sys.stdout.flush()  # raises where that is what cannot be written
        if isinstance(error, BrokenPipeError):  # whoever read our output has gone; there is nobody to tell
            return FAILED
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        show.failure("InputOutput", message, (), as_json=as_json)
        return FAILED
    except KeyboardInterrupt as error:
        show.failure("Interrupted", str(error) or "Interrupted.", (), as_json=as_json)
        return INTERRUPTED
