"""What whoever runs Kvot may choose, with its defaults and what it means.

From lowest to highest: the defaults below, a TOML file, the environment, the command line. Read once at the start;
nobody else reads the environment, and nothing happens at import. Every fault is found before any is reported.
A secret's value never appears in a message or a repr.
"""
# ruff: noqa: RUF009 (what `_setting` makes is a field, not a default that instances would share)

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from kvot.settings.accepted import (
    BASE_URL,
    DATABASE,
    JWKS,
    KEY,
    LOG_LEVEL,
    NETWORKS,
    ORIGINS,
    OWN_KEYS,
    PATH,
    SECRET,
    SERVER,
    TEXT,
    Accepted,
    NotAccepted,
    SettingsError,
    one_of,
    whole_number,
)
from kvot.settings.providers import PROVIDERS, ProviderSettings

PREFIX = "KVOT_"
WORKERS_MAX = 128
"""More than any machine needs; each opens connections of its own to the database."""

_CONFIG_BYTES_MAX = 65_536

COMMON_NAMES = {
    "FORWARDED_ALLOW_IPS": "forwarded_allow_ips",
    "KVOT_SECRET_KEY": "secret",
    "KVOT_SECRET_KEY_FILE": "secret_file",
    "LOG_LEVEL": "log_level",
    "PORT": "port",
    "WEB_CONCURRENCY": "workers",
}
"""Variables that platforms set, or that people know from elsewhere, with the setting that each stands for where no
source says it by its own name. An empty one says nothing: it need not be meant for us."""

_ABOVE_FILE = "PORT"
"""The one of them that beats the file all the same: the platform that sets it sends requests there and nowhere else."""

_SERVICE_LINK = re.compile(
    r"KVOT_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|KVOT_(\w+_)?PORT=(tcp|udp|sctp)://.*",
    re.ASCII | re.DOTALL,
)
"""What Kubernetes puts into every container of a namespace for a Service named `kvot` or `kvot-…`, as NAME=value:
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables"""

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

    secret: str | None = _setting(SECRET, is_secret=True)
    """The secret that every key of Kvot's own is derived from. Whoever loses it must issue all API keys anew.
    Without it `KVOT_SECRET_KEY` counts."""

    secret_file: Path | None = _setting(PATH)
    """A file with that secret, readable by its owner alone. Beside an embedded database the default is its name with
    `.secret` added, and the file is made, with 256 random bits, when neither it nor the database is there yet.
    Without it `KVOT_SECRET_KEY_FILE` counts, before that default. Not together with a secret itself."""

    jwt_secret: str | None = _setting(SECRET, is_secret=True)
    """Accept bearer tokens signed with HS256 under this secret (its UTF-8 bytes). Not together with public keys."""

    jwt_public_key_file: Path | None = _setting(PATH)
    """Accept bearer tokens signed under the public key in this PEM file: RSA of at least 2048 bits (RS256) or P-256
    (ES256)."""

    jwt_jwks_url: str | None = _setting(JWKS)
    """Accept bearer tokens signed with RS256 or ES256 under the keys that stand here. Read again every 5 minutes; a key
    that was taken away is refused within 10."""

    jwt_issuer: str | None = _setting(TEXT)
    """The only `iss` to accept. Any when left out: state it wherever the signer has more than one issuer."""

    jwt_audience: str | None = _setting(TEXT)
    """The `aud` that a token must name. Any when left out: state it wherever the signer serves others beside Kvot."""

    jwt_company_claim: str = _setting(TEXT, "company_id")
    """The claim with the company's GUID. Dots lead into nested objects."""

    jwt_roles_claim: str = _setting(TEXT, "roles")
    """The claim with the roles. Dots lead into nested objects. Keycloak's `realm_access.roles` counts too."""

    default_token_limit: int = _setting(whole_number(0, 2_147_483_647), 1_000_000)
    """Tokens in any window for a company that has no budget of its own. The contract's limit is a 32-bit integer."""

    default_window_days: int = _setting(whole_number(1, 36_500), 30)
    """Days in the window of a company that has no budget of its own. At most the retention."""

    retention_days: int = _setting(whole_number(1, 36_500), 400)
    """Days that detail is kept: a year and a month, so that a year can be compared with the one before. Nothing older
    is taken."""

    json_case: str = _setting(one_of("camel", "pascal"), "camel")
    """How names are written in JSON. `pascal` for clients generated from a host that writes PascalCase."""

    jsonp: str = _setting(one_of("off", "on"), "off")
    """Whether `?callback=` wraps JSON in a call, for pages that cannot ask in any other way."""

    cors_origins: str | None = _setting(ORIGINS)
    """Origins whose pages may call with a credential of their own, with commas between them. None when left out."""

    openai_base_url: str = _setting(BASE_URL, "https://api.openai.com/v1")
    """Where OpenAI's API is, or one that takes all that it takes: what its own client would be given as `base_url`.
    Others want the dialect `compatible`."""

    openai_api_key: str | None = _setting(KEY, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/openai/v1` leads to it."""

    anthropic_base_url: str = _setting(BASE_URL, "https://api.anthropic.com")
    """Where Anthropic's API is, without `/v1`."""

    anthropic_api_key: str | None = _setting(KEY, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/anthropic` leads to it."""

    gemini_base_url: str = _setting(BASE_URL, "https://generativelanguage.googleapis.com")
    """Where Gemini's API is, without a version."""

    gemini_api_key: str | None = _setting(KEY, is_secret=True)
    """Kvot's own key to it. With a key, or another address, `/gemini` leads to it."""

    ollama_base_url: str | None = _setting(BASE_URL)
    """Where Ollama is, `http://127.0.0.1:11434` on the same machine. With an address, `/ollama` leads to it."""

    ollama_api_key: str | None = _setting(KEY, is_secret=True)
    """A key, if something in front of it asks for one."""

    providers: tuple[ProviderSettings, ...] = _setting(PROVIDERS, (), is_secret=True)
    """More providers by name, each under the path of its name: `[providers.mistral]` with `dialect = "openai"`."""

    own_key_providers: tuple[str, ...] = _setting(OWN_KEYS, ())
    """Providers to offer although there is no key of Kvot's own: companies bring theirs, and one that has none is
    refused. With a name here `/openai/v1` and the like lead there."""

    output_tokens_max: int = _setting(whole_number(1, 2_147_483_647), 32_768)
    """Output tokens to hold for a call that names no ceiling of its own: the most that your models answer with."""

    output_tokens_min: int = _setting(whole_number(1, 2_147_483_647), 16)
    """A call whose answer could not even be so long is refused."""

    input_hold: str = _setting(one_of("bound", "exact", "learned"), "bound")
    """What is held for the input of a call. `bound`: a token for each byte of its text, which nothing can pass.
    `exact`: its tokens, counted, for OpenAI's models whose vocabulary is known, and `bound` for all others; needs the
    extra `kvot[tokenizer]`. `learned`: what the company's earlier calls to the model needed, for more calls at once
    near a limit; text of another kind can then pass the budget by some of its tokens."""

    clamp: str = _setting(one_of("on", "given", "off"), "on")
    """What is done so that no answer passes the budget. `on`: the ceiling of a call is lowered to what is left, and one
    that names none is sent on with the ceiling that was held; the reply says so in `x-kvot-output-tokens-max`. `given`:
    one that names none goes on as it is as long as `KVOT_OUTPUT_TOKENS_MAX` fits, and its answer may then be longer.
    `off`: a ceiling that does not fit is refused, and none is named."""

    cached_token_percent: int = _setting(whole_number(0, 100), 100)
    """What a token that the provider read from its cache counts in the budget."""

    receipts: str = _setting(one_of("off", "on"), "on")
    """Whether each call through the gateway leaves a receipt: what its provider told of it beside the tokens, by which
    a bill can be checked (`kvot events`). Some 600 bytes a call. No word of a prompt or of an answer is ever in it."""

    hold_ttl_s: int = _setting(whole_number(3, 3_600), 120)
    """How long the hold of a call lasts without renewal. It is renewed at a third of that for as long as the call runs.
    After a crash a call that had been sent is charged at what it held, so many seconds later."""

    stored_responses: str = _setting(one_of("own", "shared"), "own")
    """Who may name what a provider keeps of earlier calls (`/responses/{id}`, `previous_response_id`). `own`: each
    company the responses that it made, and under a key of its own whatever there is. `shared`: all companies, and
    whoever has an id reaches what another company stored under it."""

    call_max_s: int = _setting(whole_number(1, 86_400), 3_600)
    """The longest that a call may take; then it is cut, and charged for what has come. A stream that trickles for ever
    would keep its tokens held for ever. An hour is some six times what official clients wait for an answer."""

    exhausted_status: str = _setting(one_of("429", "402"), "429")
    """The status of a call for which the budget is used up. Official clients take 429 for a rate limit, and 402 for
    another error. One that only calls under way are in the way of is always a 429."""

    host: str = _setting(TEXT, "127.0.0.1")
    """The address to listen on. The default answers this machine alone."""

    port: int = _setting(whole_number(0, 65_535), 8080)
    """The TCP port to listen on. 0: any that is free. Without it `PORT` counts, which some platforms set, and before
    the TOML file."""

    forwarded_allow_ips: tuple[str, ...] = _setting(NETWORKS, ())
    """Proxies in front of Kvot whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: by the address that they
    tell, keys are bound to networks and failed attempts are counted. Of several addresses it is the last that is not a
    proxy's. `*`: whoever connects, so let nobody else; of several the last one, since which are proxies is not said.
    Without it `FORWARDED_ALLOW_IPS` counts."""

    log_level: str = _setting(LOG_LEVEL, "info")
    """The least that is logged. `info`: also every request that is refused; `debug`: every other one, too. Without it
    `LOG_LEVEL` counts."""

    workers: int = _setting(whole_number(1, WORKERS_MAX), 1)
    """Processes that serve behind the one port, where the database is PostgreSQL: about one for each core. Without it
    `WEB_CONCURRENCY` counts, which some platforms set."""

    url: str | None = _setting(SERVER)
    """For commands: the running server to talk to, instead of the database."""

    api_key: str | None = _setting(KEY, is_secret=True)
    """For commands: the API key to show to that server."""

    config: Path | None = _setting(PATH)
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
        environ = {name: text for name, text in environ.items() if not _SERVICE_LINK.fullmatch(f"{name}={text}")}
        config_path = config_path or environ.get(variable("config"))
        if config_path:
            self._take_file(config_path)
        in_file = {*self.values, *self.faulty}
        for name, key in COMMON_NAMES.items():
            is_said = variable(key) in environ or given.get(key) is not None or (key in in_file and name != _ABOVE_FILE)
            if environ.get(name) and not is_said:
                self._take(key, environ[name], name, str)
        for name, text in sorted(environ.items()):
            if name.startswith(PREFIX) and name not in COMMON_NAMES:
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
        except tomllib.TOMLDecodeError as error:
            self.faults.append(f"The settings file {config_path} is not TOML: {error}.")
            return
        except RecursionError:
            self.faults.append(f"The settings file {config_path} cannot be read: its values are nested too deep.")
            return
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
        one = FIELDS.get(key)
        if one is None or not is_known:
            self.faults.append(f"{called} is not a setting.{_suggestion(key, spell)}")
            return
        accepted: Accepted = one.metadata["accepted"]
        try:
            self.values[key] = accepted.take(value, is_shown=one.repr)
        except NotAccepted as error:
            # Only the file has values with parts, and calls them `providers in kvot.toml`.
            self.faults += [
                f"{key}{at}{called.removeprefix(key)}{words}" if at else called + words for at, words in error.faults
            ]
            self.faulty.add(key)


FIELDS: dict[str, Field[Any]] = {one.name: one for one in fields(Settings)}


def wants_no_colour(environ: Mapping[str, str]) -> bool:
    """`NO_COLOR`, whatever it says: the one word of the environment that is about whoever looks, and no setting."""
    return bool(environ.get("NO_COLOR"))


def variable(key: str) -> str:
    """The name of a setting in the environment."""
    return PREFIX + key.upper()


def option(key: str) -> str:
    """The name of a setting on the command line."""
    return "--" + key.replace("_", "-")


def _suggestion(key: str, spell: Callable[[str], str]) -> str:
    import difflib  # only ever needed to say goodbye

    nearest = difflib.get_close_matches(key.lower(), FIELDS, n=1)
    if not nearest or spell(nearest[0]) == key:  # a name that only another source may say
        return " docs/reference/settings.md lists all that there are, and where they can be set."
    return f" The nearest is {spell(nearest[0])}."


def _conflicts(settings: Settings, needs_secret: bool) -> Iterator[tuple[set[str], str]]:
    """What cannot stand together: the fields it is about, and why."""
    if settings.secret is not None and settings.secret_file is not None:
        yield (
            {"secret", "secret_file"},
            "KVOT_SECRET (or KVOT_SECRET_KEY) and KVOT_SECRET_FILE (or KVOT_SECRET_KEY_FILE) are both set: which one "
            "counts?",
        )
    has_secret = settings.secret is not None or settings.secret_file is not None
    if settings.database_path is None and needs_secret and not has_secret:
        yield (
            {"database", "secret", "secret_file"},
            "KVOT_SECRET or KVOT_SECRET_FILE must be set: a secret is only made beside an embedded database. For a new "
            "database take what this prints, and keep it: openssl rand -base64 32",
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
        needs_key = name in settings.own_key_providers
        if needs_key or api_key is not None or base_url != FIELDS[f"{name}_base_url"].default:
            own.append(ProviderSettings(name, name, base_url, api_key or "", needs_key=needs_key))
    return (*own, *settings.providers)
