"""What whoever runs Kvot may choose, and the secret that everything else is derived from.

From lowest to highest: the defaults below, a TOML file, the environment, the command line. Read once at the start;
nobody else reads the environment, and nothing happens at import. Every fault is found before any is reported.
A secret's value never appears in a message or a repr.
"""
# ruff: noqa: RUF009 (what `_setting` makes is a field, not a default that instances would share)

import os
import re
import secrets
import stat
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "KVOT_"
SECRET_BYTES_LEAST = 32
"""256 bits: a shorter secret could be found by trying, given one key or token made with it."""

WORKERS_MAX = 128
"""More than any machine needs; each opens connections of its own to the database."""

_TEXT_LENGTH_MAX = 2_048
_SECRET_FILE_BYTES_MAX = 4_096
_CONFIG_BYTES_MAX = 65_536


class SettingsError(Exception):
    """The settings cannot be used. `faults` has one sentence for each thing that is wrong."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a setting takes, in words, and how it is read; `read` answers None for anything else."""

    words: str
    read: Callable[[object], Any]


def _whole_number(least: int, most: int) -> Accepted:
    def read(value: object) -> int | None:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        return value if type(value) is int and least <= value <= most else None

    return Accepted(f"a whole number from {least} to {most}", read)


def _one_of(*choices: str) -> Accepted:
    words = ", ".join(choices[:-1]) + " or " + choices[-1]
    return Accepted(words, lambda value: str(value) if str(value) in choices else None)


def _read_text(value: object) -> str | None:
    is_text = isinstance(value, str | Path) and 1 <= len(str(value)) <= _TEXT_LENGTH_MAX and str(value).isprintable()
    return str(value) if is_text else None


def _read_path(value: object) -> Path | None:
    return Path(text) if (text := _read_text(value)) else None


def _read_secret_text(value: object) -> str | None:
    text = _read_text(value)
    return text if text and len(text.encode()) >= SECRET_BYTES_LEAST else None


def read_database(value: object) -> str | None:
    text = _read_text(value) or ""
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return text if rest[:1] == "/" and rest[1:] not in ("", "/", ":memory:") else None
    return text if scheme == "postgresql" and rest else None


def _read_jwks_url(value: object) -> str | None:
    text = _read_text(value) or ""
    if text.startswith("file:///"):
        return text
    return text if _is_url(text, {"https"}) else None


def _read_server_url(value: object) -> str | None:
    text = _read_text(value) or ""
    return text.rstrip("/") if _is_url(text, {"http", "https"}) else None


def _is_url(text: str, schemes: set[str]) -> bool:
    try:
        url = urlsplit(text)
        _ = url.port  # reading it is what checks it
    except ValueError:
        return False
    return url.scheme in schemes and bool(url.hostname) and "@" not in url.netloc and not url.fragment


def _read_origins(value: object) -> str | None:
    origins = [each.strip() for each in (_read_text(value) or "").split(",")]
    return ",".join(origins) if all(_is_origin(each) for each in origins) else None


def _is_origin(text: str) -> bool:
    """As browsers send it: scheme and host, a port where it is not the usual one, and nothing after."""
    return text.isascii() and _is_url(text, {"http", "https"}) and text.count("/") == 2 and "?" not in text  # noqa: PLR2004


def _read_providers(value: object) -> "tuple[ProviderSettings, ...] | None":
    """A table of tables, so it can only come from TOML."""
    if not isinstance(value, dict):
        return None
    providers = [found for name, one in value.items() if (found := _read_provider(name, one)) is not None]
    return tuple(providers) if len(providers) == len(value) else None


def _read_provider(name: str, value: object) -> "ProviderSettings | None":
    if not _PROVIDER_NAME.fullmatch(name) or not isinstance(value, dict) or value.keys() - _PROVIDER_KEYS:
        return None
    dialect, base_url = _read_text(value.get("dialect")), _read_server_url(value.get("base_url"))
    api_key = _read_text(value["api_key"]) if "api_key" in value else ""
    if dialect is None or base_url is None or api_key is None:
        return None
    return ProviderSettings(name, dialect, base_url, api_key)


def _read_own_key_providers(value: object) -> tuple[str, ...] | None:
    names = tuple(each.strip() for each in (_read_text(value) or "").split(","))
    return names if set(names) <= {"openai", "anthropic", "gemini"} else None


_PROVIDER_KEYS = frozenset({"dialect", "base_url", "api_key"})
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_TEXT = Accepted("text", _read_text)
_PATH = Accepted("the path of a file", _read_path)
_SECRET = Accepted(f"at least {SECRET_BYTES_LEAST} bytes of text", _read_secret_text)
DATABASE = Accepted("sqlite:///relative/path, sqlite:////absolute/path or postgresql://…", read_database)
_JWKS = Accepted("an https:// address without user name, or file:///absolute/path", _read_jwks_url)
_ORIGINS = Accepted("origins like https://app.example.com, with commas between them", _read_origins)
_SERVER = Accepted("an http:// or https:// address", _read_server_url)
_PROVIDERS = Accepted(
    "in TOML, a table for each with dialect, base_url and, if it asks for one, api_key", _read_providers
)
_OWN_KEYS = Accepted("openai, anthropic or gemini, with commas between them", _read_own_key_providers)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider of models: its name in our paths, the API that it speaks, its address as its own client would be
    given it, and our key to it. `needs_key`: nothing is sent without a key, ours or the company's own."""

    name: str
    dialect: str
    base_url: str
    api_key: str = field(default="", repr=False)
    needs_key: bool = False


OWN_PROVIDERS = ("openai", "anthropic", "gemini", "ollama")
"""Providers with settings of their own. Each is named as its dialect is."""

_FORMATS = ("csv", "html", "json", "jsonl", "jsonp", "jsv", "x-msgpack", "xml")
_PAGES = ("auth", "docs", "login", "metadata", "openapi", "operations", "types", "ui", "ui-assets")
_SERVICES = ("api", "apikeys", "assistant", "healthz", "livez", "metrics", "ping", "readyz")
OUR_PATHS = frozenset({*_FORMATS, *_PAGES, *_SERVICES})
"""First segments of our own paths, now and to come: no provider may have them for a name."""


def _setting(accepted: Accepted, default: object = None, *, is_secret: bool = False) -> Any:
    return field(default=default, repr=not is_secret, metadata={"accepted": accepted})


@dataclass(frozen=True)
class Settings:
    """Every choice. In the environment a name is in capitals after `KVOT_`; in TOML it is as it stands here.

    Relative paths start at the working directory.
    """

    database: str = _setting(DATABASE, "sqlite:///kvot.db", is_secret=True)
    """Where the ledger is kept. The default needs no server: one file, in the working directory. The URL of a
    PostgreSQL server may end in `?connections=16` (the most of one process) and `&pooler=transaction` (PgBouncer)."""

    secret: str | None = _setting(_SECRET, is_secret=True)
    """The secret that every key of Kvot's own is derived from. Whoever loses it must issue all API keys anew."""

    secret_file: Path | None = _setting(_PATH)
    """A file with that secret, readable by its owner alone. Beside an embedded database the default is its name with
    `.secret` added, and the file is made, with 256 random bits, when neither it nor the database is there yet."""

    jwt_secret: str | None = _setting(_SECRET, is_secret=True)
    """Accept bearer tokens signed with HS256 under this secret (its UTF-8 bytes). Not together with public keys."""

    jwt_public_key_file: Path | None = _setting(_PATH)
    """Accept bearer tokens signed under the public key in this PEM file: RSA of at least 2048 bits (RS256) or P-256
    (ES256)."""

    jwt_jwks_url: str | None = _setting(_JWKS)
    """Accept bearer tokens signed with RS256 or ES256 under the keys that stand here. Read again every 5 minutes; a key
    that was taken away is refused within 10."""

    jwt_issuer: str | None = _setting(_TEXT)
    """The only `iss` to accept. Any when left out: state it wherever the signer has more than one issuer."""

    jwt_audience: str | None = _setting(_TEXT)
    """The `aud` that a token must name. Any when left out: state it wherever the signer serves others beside Kvot."""

    jwt_company_claim: str = _setting(_TEXT, "company_id")
    """The claim with the company's GUID. Dots lead into nested objects."""

    jwt_roles_claim: str = _setting(_TEXT, "roles")
    """The claim with the roles. Dots lead into nested objects. Keycloak's `realm_access.roles` counts too."""

    default_token_limit: int = _setting(_whole_number(0, 2_147_483_647), 1_000_000)
    """Tokens in any window for a company that has no budget of its own. The contract's limit is a 32-bit integer."""

    default_window_days: int = _setting(_whole_number(1, 36_500), 30)
    """Days in the window of a company that has no budget of its own. At most the retention."""

    retention_days: int = _setting(_whole_number(1, 36_500), 400)
    """Days that detail is kept: a year and a month, so that a year can be compared with the one before. Nothing older
    is taken."""

    json_case: str = _setting(_one_of("camel", "pascal"), "camel")
    """How names are written in JSON. `pascal` for clients generated from a host that writes PascalCase."""

    jsonp: str = _setting(_one_of("off", "on"), "off")
    """Whether `?callback=` wraps JSON in a call, for pages that cannot ask in any other way."""

    cors_origins: str | None = _setting(_ORIGINS)
    """Origins whose pages may call with a credential of their own, with commas between them. None when left out."""

    openai_base_url: str = _setting(_SERVER, "https://api.openai.com/v1")
    """Where OpenAI's API, or one compatible with it, is: what its own client would be given as `base_url`."""

    openai_api_key: str | None = _setting(_TEXT, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/openai/v1` leads to it."""

    anthropic_base_url: str = _setting(_SERVER, "https://api.anthropic.com")
    """Where Anthropic's API is, without `/v1`."""

    anthropic_api_key: str | None = _setting(_TEXT, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/anthropic` leads to it."""

    gemini_base_url: str = _setting(_SERVER, "https://generativelanguage.googleapis.com")
    """Where Gemini's API is, without a version."""

    gemini_api_key: str | None = _setting(_TEXT, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/gemini` leads to it."""

    ollama_base_url: str | None = _setting(_SERVER)
    """Where Ollama is, `http://127.0.0.1:11434` on the same machine. With an address, `/ollama` leads to it."""

    ollama_api_key: str | None = _setting(_TEXT, is_secret=True)
    """A key, if something in front of it asks for one."""

    providers: tuple[ProviderSettings, ...] = _setting(_PROVIDERS, (), is_secret=True)
    """More providers by name, each under the path of its name: `[providers.mistral]` with `dialect = "openai"`."""

    own_key_providers: tuple[str, ...] = _setting(_OWN_KEYS, ())
    """Providers to offer although there is no key of Kvot's own: companies bring theirs, and one that has none is
    refused. With a name here `/openai/v1` and the like lead there."""

    output_tokens_max: int = _setting(_whole_number(1, 2_147_483_647), 32_768)
    """Output tokens to hold for a call that names no ceiling of its own: the most that your models answer with."""

    output_tokens_min: int = _setting(_whole_number(1, 2_147_483_647), 16)
    """A call whose answer could not even be so long is refused."""

    input_hold: str = _setting(_one_of("bound", "exact", "learned"), "bound")
    """What is held for the input of a call. `bound`: a token for each byte of its text, which nothing can pass.
    `exact`: its tokens, counted, for OpenAI's models whose vocabulary is known, and `bound` for all others; needs the
    extra `kvot[tokenizer]`. `learned`: what the company's earlier calls to the model needed, for more calls at once
    near a limit; text of another kind can then pass the budget by some of its tokens."""

    clamp: str = _setting(_one_of("on", "off", "always"), "on")
    """Whether the ceiling of a call is lowered to what is left of the budget (the reply then says so in
    `x-kvot-output-tokens-max`); `off` refuses it instead. `always` also names the ceiling that was held in a request
    that has none, so that no answer can be longer than what was held: every model must take
    `KVOT_OUTPUT_TOKENS_MAX` then."""

    cached_token_percent: int = _setting(_whole_number(0, 100), 100)
    """What a token that the provider read from its cache counts in the budget."""

    hold_ttl_s: int = _setting(_whole_number(3, 3_600), 120)
    """How long the hold of a call lasts without renewal. It is renewed at a third of that for as long as the call runs.
    After a crash a call that had been sent is charged at what it held, so many seconds later."""

    stored_responses: str = _setting(_one_of("own", "shared"), "own")
    """Who may name what a provider keeps of earlier calls (`/responses/{id}`, `previous_response_id`). `own`: each
    company the responses that it made, and under a key of its own whatever there is. `shared`: all companies, and
    whoever has an id reaches what another company stored under it."""

    call_max_s: int = _setting(_whole_number(1, 86_400), 3_600)
    """The longest that a call may take; then it is cut, and charged for what has come. A stream that trickles for ever
    would keep its tokens held for ever. An hour is some six times what official clients wait for an answer."""

    exhausted_status: str = _setting(_one_of("429", "402"), "429")
    """The status of a call for which the budget is used up. Official clients take 429 for a rate limit, and 402 for
    another error. One that only calls under way are in the way of is always a 429."""

    host: str = _setting(_TEXT, "127.0.0.1")
    """The address to listen on. The default answers this machine alone."""

    port: int = _setting(_whole_number(0, 65_535), 8080)
    """The TCP port to listen on. 0: any that is free."""

    workers: int = _setting(_whole_number(1, WORKERS_MAX), 1)
    """Processes that serve behind the one port, where the database is PostgreSQL: about one for each core. Without it
    `WEB_CONCURRENCY` counts, which some platforms set."""

    url: str | None = _setting(_SERVER)
    """For commands: the running server to talk to, instead of the database."""

    api_key: str | None = _setting(_TEXT, is_secret=True)
    """For commands: the API key to show to that server."""

    config: Path | None = _setting(_PATH)
    """The TOML file to read. Not a setting of the file itself."""

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        config_path: str | Path | None = None,
        overrides: Mapping[str, object] | None = None,
        *,
        needs_secret: bool = True,
    ) -> "Settings":
        """Read everything. `overrides` are by field name; None there means: not said. Raises SettingsError.

        needs_secret: False for a command that makes and checks no key, and so works on any database without one.
        """
        return _Reading(needs_secret).load(environ, config_path, overrides or {})

    @property
    def database_path(self) -> Path | None:
        """The file of an embedded database; None where the database is a server."""
        return Path(self.database.removeprefix("sqlite:///")) if self.database.startswith("sqlite:") else None

    @property
    def secret_path(self) -> Path | None:
        """The file that holds the secret, or will; None where the secret is given directly or is missing."""
        if self.secret is not None or self.secret_file is not None or self.database_path is None:
            return self.secret_file
        return self.database_path.with_name(self.database_path.name + ".secret")


class _Reading:
    """One reading of all sources: the values so far, the faults so far."""

    def __init__(self, needs_secret: bool) -> None:
        self.needs_secret = needs_secret
        self.values: dict[str, Any] = {}
        self.faults: list[str] = []
        self.faulty: set[str] = set()

    def load(self, environ: Mapping[str, str], config_path: str | Path | None, given: Mapping[str, object]) -> Settings:
        config_path = config_path or environ.get(variable("config"))
        if config_path:
            self._take_file(config_path)
        if "WEB_CONCURRENCY" in environ:
            self._take("workers", environ["WEB_CONCURRENCY"], "WEB_CONCURRENCY", str)
        for name, text in sorted(environ.items()):
            if name.startswith(PREFIX):
                self._take(name.removeprefix(PREFIX).lower(), text, name, variable, is_known=name.isupper())
        for key, value in given.items():
            if value is not None:
                self._take(key, value, option(key), option)
        if config_path:
            self.values["config"] = Path(config_path)
        settings = Settings(**self.values)
        self.faults += [words for names, words in _conflicts(settings, self.needs_secret) if not self.faulty & names]
        if self.faults:
            raise SettingsError(*self.faults)
        return settings

    def _take_file(self, config_path: str | Path) -> None:
        try:
            with open(config_path, "rb") as file:
                text = file.read(_CONFIG_BYTES_MAX + 1)
            if len(text) > _CONFIG_BYTES_MAX:
                raise ValueError(f"it has more than {_CONFIG_BYTES_MAX} bytes")
            table = tomllib.loads(text.decode())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.faults.append(f"The settings file {config_path} cannot be read: {reason}.")
            return
        for key, value in table.items():
            self._take(key, value, f"{key} in {config_path}", str, is_known=key != "config")

    def _take(
        self, key: str, value: object, called: str, spell: Callable[[str], str], *, is_known: bool = True
    ) -> None:
        """Take one value. `called` is how its source names it, `spell` how the source would name another."""
        one = _FIELDS.get(key)
        if one is None or not is_known:
            self.faults.append(f"{called} is not a setting.{_suggestion(key, spell)}")
            return
        accepted: Accepted = one.metadata["accepted"]
        read = accepted.read(value)
        if read is None:
            shown = f" is {str(value)[:80]!r}:" if one.repr else ":"
            self.faults.append(f"{called}{shown} must be {accepted.words}.")
            self.faulty.add(key)
            return
        self.values[key] = read


_FIELDS: dict[str, Field[Any]] = {one.name: one for one in fields(Settings)}


def variable(key: str) -> str:
    """The name of a setting in the environment."""
    return PREFIX + key.upper()


def option(key: str) -> str:
    """The name of a setting on the command line."""
    return "--" + key.replace("_", "-")


def _suggestion(key: str, spell: Callable[[str], str]) -> str:
    import difflib  # only ever needed to say goodbye

    nearest = difflib.get_close_matches(key.lower(), _FIELDS, n=1, cutoff=0)
    return f" The nearest is {spell(nearest[0])}." if nearest else ""


def _conflicts(settings: Settings, needs_secret: bool) -> Iterator[tuple[set[str], str]]:
    """What cannot stand together: the fields it is about, and why."""
    if settings.secret is not None and settings.secret_file is not None:
        yield {"secret", "secret_file"}, "KVOT_SECRET and KVOT_SECRET_FILE are both set: which one counts?"
    has_secret = settings.secret is not None or settings.secret_file is not None
    if settings.database_path is None and needs_secret and not has_secret:
        yield (
            {"database", "secret", "secret_file"},
            "KVOT_SECRET or KVOT_SECRET_FILE must be set: a secret is only made beside an embedded database.",
        )
    keys = {name for name in ("jwt_secret", "jwt_public_key_file", "jwt_jwks_url") if getattr(settings, name)}
    if len(keys) > 1:
        yield keys, f"{' and '.join(map(variable, sorted(keys)))} are both set: tokens are verified in one way."
    names = [one.name for one in providers_of(settings)]
    for name in {name for name in names if names.count(name) > 1 or name in OUR_PATHS}:
        yield {"providers"}, f"The provider {name} needs another name: this one leads elsewhere already."
    if settings.ollama_api_key is not None and settings.ollama_base_url is None:
        yield {"ollama_api_key", "ollama_base_url"}, "KVOT_OLLAMA_API_KEY is set but not KVOT_OLLAMA_BASE_URL."
    for name in ("jwt_issuer", "jwt_audience"):
        if getattr(settings, name) is not None and not keys:
            yield (
                {name, "jwt_secret", "jwt_public_key_file", "jwt_jwks_url"},
                f"{variable(name)} is set but no key to verify tokens with: set KVOT_JWT_SECRET, "
                "KVOT_JWT_PUBLIC_KEY_FILE or KVOT_JWT_JWKS_URL.",
            )
    if settings.default_window_days > settings.retention_days:
        yield (
            {"default_window_days", "retention_days"},
            f"KVOT_DEFAULT_WINDOW_DAYS is {settings.default_window_days}: must be at most "
            f"KVOT_RETENTION_DAYS, which is {settings.retention_days}.",
        )


def providers_of(settings: Settings) -> tuple[ProviderSettings, ...]:
    """Every provider to pass calls on to: the well-known ones for which there is a key or another address, or to which
    companies bring keys, and the others that are named."""
    own = []
    for name in OWN_PROVIDERS:
        base_url, api_key = getattr(settings, f"{name}_base_url"), getattr(settings, f"{name}_api_key")
        if api_key is not None or base_url != _FIELDS[f"{name}_base_url"].default:
            own.append(ProviderSettings(name, name, base_url, api_key or ""))
        elif name in settings.own_key_providers:
            own.append(ProviderSettings(name, name, base_url, needs_key=True))
    return (*own, *settings.providers)


# -- the secret ------------------------------------------------------------------------------------------------------


def read_secret(settings: Settings) -> bytes:
    """The secret. Call before the database is opened: on the first embedded start this makes the secret's file.

    A database without its secret is refused, since a new secret would silently end every API key in it.
    """
    if settings.secret is not None:
        return settings.secret.encode()
    path = settings.secret_path
    assert path is not None, "Settings.load lets nothing through without a secret or a place for one"
    try:
        if not path.exists():
            _refuse_orphan(settings, path)
            _make_secret_file(path)
        return _read_secret_file(path)
    except OSError as error:
        raise SettingsError(f"The secret file {path} cannot be read or made: {error.strerror}.") from error


def _refuse_orphan(settings: Settings, path: Path) -> None:
    database = settings.database_path
    if database is None:
        raise SettingsError(f"The secret file {path} does not exist.")
    if database.exists() and database.stat().st_size:
        raise SettingsError(
            f"The database {database} exists but its secret file {path} does not: put the file back. If it is lost, "
            "set KVOT_SECRET to a new secret and run kvot keys accept-secret; API keys made so far then stop working."
        )


def _make_secret_file(path: Path) -> None:
    """Whole or not at all, on disk when this returns; of several processes one wins and the others read its file."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # O_EXCL, mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_secret_file(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise SettingsError(f"The secret file {path} is not a regular file.")
        if state.st_mode & 0o077:
            mode = stat.S_IMODE(state.st_mode)
            raise SettingsError(
                f"The secret file {path} is open to others than its owner (mode {mode:04o}): "
                "chmod it to 0600, and replace the secret if somebody may have read it."
            )
        secret = file.read(_SECRET_FILE_BYTES_MAX).strip()
    if len(secret) < SECRET_BYTES_LEAST:
        raise SettingsError(f"The secret file {path} must hold at least {SECRET_BYTES_LEAST} bytes.")
    return secret


# -- the page --------------------------------------------------------------------------------------------------------


def reference_page() -> str:
    """`docs/reference/settings.md`, from the fields above and their docstrings. `python -m kvot.settings` prints it."""
    lines = [
        "# Settings",
        "",
        "Generated from `kvot.settings`. From lowest to highest: default, TOML file (`--config` or `KVOT_CONFIG`;",
        "names without `KVOT_`, in lower case), environment, command line. An unknown name stops the start.",
        "",
        "| name | default | takes | meaning |",
        "|---|---|---|---|",
    ]
    for name, words in _docstrings().items():
        default, accepted = _FIELDS[name].default, _FIELDS[name].metadata["accepted"]
        shown = "–" if default in (None, ()) else f"`{default}`"
        lines.append(f"| `{variable(name)}` | {shown} | {accepted.words} | {words} |")
    return "\n".join(lines) + "\n"


def _docstrings() -> dict[str, str]:
    """Words by field. They stand under the fields, where only the source can be asked for them."""
    import ast
    import inspect

    (tree,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    words = {}
    for above, below in zip(tree.body, tree.body[1:], strict=False):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                words[name] = " ".join(text.split())
    return words


if __name__ == "__main__":
    sys.stdout.write(reference_page())
