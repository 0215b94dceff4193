"""`kvot keys`: made, listed, revoked, taken over from elsewhere. A key is printed once, by what makes it."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.asking import Yes, agreed
from kvot.cli.moments import parse_expiry
from kvot.cli.options import NO_DATABASE_OPTIONS, NO_OPTIONS, DatabaseOptions, Options, UsageError, company_guid
from kvot.cli.target import Target
from kvot.cli.target import accept_secret as accept
from kvot.contract.keys import (
    ApiKeyInfo,
    ApiKeyQuery,
    ApiKeyQueryResponse,
    CreateApiKey,
    CreateApiKeyResponse,
    RevokeApiKey,
    RevokeApiKeyResponse,
)
from kvot.core.errors import KvotError

_RESTART = "Every server that uses the database must be started again with this secret."

KEYS_BYTES_MAX = 1_048_576
"""Of a file of keys: some twenty thousand."""

Company = Annotated[
    str | None, Parameter(help="The GUID of the company that the key speaks for. Only a superadmin's may be of none.")
]
Roles = Annotated[
    list[str] | None,
    Parameter(
        name="--role",
        negative="",
        help="superadmin, which may do all, or usage-writer, which may import. Several times.",
    ),
]
Name = Annotated[str | None, Parameter(help="What the key is for.")]
Expires = Annotated[str | None, Parameter(help="When it stops working: 2027-01-31, or 30d or 12h from now.")]
Networks = Annotated[
    list[str] | None,
    Parameter(name="--network", negative="", help="A CIDR range it may be used from. Several times. Default: any."),
]


def create(
    *,
    company: Company = None,
    role: Roles = None,
    name: Name = None,
    expires: Expires = None,
    network: Networks = None,
    options: Options = NO_OPTIONS,
) -> None:
    """Make an API key. The key alone is the last line printed, this once; only a hash of it is kept.

    For example:

    ```
    kvot keys create --company $COMPANY --name assistant
    kvot keys create --company $COMPANY --role usage-writer --expires 30d
    KVOT_API_KEY=$(kvot keys create --role superadmin | tail -1)
    ```
    """
    request = CreateApiKey(
        company_id=company_guid(company),
        roles=role,
        name=name,
        expires_at=parse_expiry(expires),
        networks=network,
    )
    with options.target(make=True, makes_keys=True) as target:
        reply: CreateApiKeyResponse = target.call(request)
    if options.json:
        show.document(reply)
    else:
        _print_one(reply.result)
        print(reply.key)


def list_(
    *,
    company: Annotated[str | None, Parameter(help="Only the keys of this company.")] = None,
    options: Options = NO_OPTIONS,
) -> None:
    """List API keys: their ids and what they may do, never the keys. Revoked and expired ones too.

    For example:

    ```
    kvot keys list
    kvot keys list --company $COMPANY --json
    ```
    """
    with options.target() as target:
        reply: ApiKeyQueryResponse = target.call(ApiKeyQuery(company_id=company_guid(company)))
    if options.json:
        show.document(reply)
    elif not reply.results:
        print("No keys yet.")
    else:
        header = ("id", "company", "roles", "name", "created", "expires", "revoked")
        show.table(header, [_row(each) for each in reply.results])


def revoke(
    id: Annotated[str, Parameter(help="The key's id, as listed.")],
    /,
    *,
    yes: Yes = False,
    options: Options = NO_OPTIONS,
) -> int:
    """Revoke an API key, for good. A running server refuses it from the next request on.

    Before it asks it says whose key it is.

    For example:

    ```
    kvot keys revoke 7Kp2mQx9Vb4T
    kvot keys revoke 7Kp2mQx9Vb4T --yes
    ```
    """
    with options.target() as target:
        if not yes and not _agreed_to_revoke(target, id):
            return 1
        reply: RevokeApiKeyResponse = target.call(RevokeApiKey(id=id))
    if options.json:
        show.document(reply)
    else:
        print(f"Revoked {reply.id}.")
    return 0


def _agreed_to_revoke(target: Target, id: str) -> bool:
    """Nobody is asked about a key that is revoked already, or that is none: the answer to revoking it says so."""
    listed: ApiKeyQueryResponse = target.call(ApiKeyQuery())
    found = next((each for each in listed.results if each.id == id and each.revoked_at is None), None)
    if found is None:
        return True
    name = f" ({found.name})" if found.name else ""
    whose = f"of company {found.company_id}" if found.company_id else "of no company"
    what = f"The key {id}{name}, {whose}, is refused from now on, whatever uses it. A revoked key never works again."
    return agreed(what, "Revoke it?")


def import_(
    file: Annotated[
        Path, Parameter(help="A file with one key per line; - for standard input.", allow_leading_hyphen=True)
    ],
    /,
    *,
    company: Company = None,
    role: Roles = None,
    name: Name = None,
    expires: Expires = None,
    network: Networks = None,
    options: Options = NO_OPTIONS,
) -> int:
    """Take over API keys that exist already, so that clients keep them. All keys of the file get the same rights.

    Keys are never printed, and never belong on a command line, where other processes can read them.

    For example:

    ```
    kvot keys import old-keys.txt --company $COMPANY --name "from the old host"
    pass show assistant | kvot keys import - --company $COMPANY
    ```
    """
    company_id, expires_at = company_guid(company), parse_expiry(expires)
    taken: list[ApiKeyInfo] = []
    refused: list[dict[str, object]] = []
    with options.target(make=True, makes_keys=True) as target:
        for line, key in _read_keys(file):
            request = CreateApiKey(
                company_id=company_id, roles=role, name=name, expires_at=expires_at, networks=network, key=key
            )
            _take_over(target, request, line, taken, refused)
    if options.json:
        show.document({"results": taken, "refused": refused})
    else:
        for fault in refused:
            show.note(f"line {fault['line']}: {fault['message']}")
        show.lines([("taken over", show.number(len(taken))), ("refused", show.number(len(refused)))])
    return 1 if refused else 0


def accept_secret(
    *,
    yes: Yes = False,
    options: DatabaseOptions = NO_DATABASE_OPTIONS,
) -> int:
    """Go on with the present secret where the one that the keys were made under is lost.

    API keys that were made so far stop working, and companies' own keys to providers can be read no more: make and set
    them anew. Revoke the old ones, so that nobody wonders. Stop an embedded database's server first. Start every server
    that uses the database again with this secret: until then it is not ready, and makes no keys.

    For example:

    ```
    kvot keys accept-secret --database /var/lib/kvot/kvot.db
    ```
    """
    settings = options.database_settings(needs_secret=True)
    if not yes and not agreed(f"API keys made under another secret stop working. {_RESTART}", "Go on with this one?"):
        return 1
    name = accept(settings)
    if options.json:
        show.document({"secret": name})
    else:
        print(f"Keys are made under {name} from now on. {_RESTART}")
    return 0


def _take_over(
    target: Target, request: CreateApiKey, line: int, taken: list[ApiKeyInfo], refused: list[dict[str, object]]
) -> None:
    try:
        reply: CreateApiKeyResponse = target.call(request)
    except KvotError as error:
        if error.code in ("StoreUnavailable", "Forbidden", "Unauthorized"):  # no line is at fault
            raise
        refused.append({"line": line, "errorCode": error.code, "message": error.message})
    else:
        taken.append(reply.result)


def _read_keys(file: Path) -> list[tuple[int, str]]:
    """The keys with their line numbers; blank lines hold none."""
    if str(file) == "-":
        data = sys.stdin.buffer.read(KEYS_BYTES_MAX + 1)
    else:
        with file.open("rb") as opened:
            data = opened.read(KEYS_BYTES_MAX + 1)
    if len(data) > KEYS_BYTES_MAX:
        raise UsageError(f"{file}: more than {KEYS_BYTES_MAX:,} bytes: split the file.")
    text = data.decode("utf-8-sig", errors="replace")
    return [(line, key.strip()) for line, key in enumerate(text.split("\n"), 1) if key.strip()]


def _print_one(info: ApiKeyInfo) -> None:
    show.lines(
        [
            ("id", info.id),
            ("company", info.company_id or "any"),
            ("roles", ", ".join(info.roles) or "none"),
            ("name", info.name or "-"),
            ("networks", ", ".join(info.networks) or "any"),
            ("expires", show.moment(info.expires_at) if info.expires_at else "never"),
            ("key", "on the next line; it is shown this once"),
        ]
    )


def _row(info: ApiKeyInfo) -> tuple[str, ...]:
    return (
        info.id,
        info.company_id or "any",
        ", ".join(info.roles) or "-",
        info.name or "-",
        show.moment(info.created_at),
        show.moment(info.expires_at) if info.expires_at else "never",
        show.moment(info.revoked_at),
    )
