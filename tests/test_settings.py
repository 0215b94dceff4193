"""Settings: where they come from, what they refuse and how they say so; the secret's file."""

import json
import os
from pathlib import Path

import pytest

from kvot.settings import (
    OWN_PROVIDERS,
    ProviderSettings,
    Settings,
    SettingsError,
    providers_of,
    read_secret,
    variable,
    wants_no_colour,
)
from kvot.settings.page import reference_page
from kvot.settings.settings import _SERVICE_LINK, COMMON_NAMES

GOOD = {"WEB_CONCURRENCY": "1", "PORT": "1", "LOG_LEVEL": "info", "FORWARDED_ALLOW_IPS": "*"}
SECRET = "0123456789abcdef0123456789abcdef"
PAGE = Path(__file__).parent.parent / "docs/reference/settings.md"


def faults(environ: dict[str, str], config: Path | None = None, **overrides: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ, config, overrides)
    return caught.value.faults


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


class TestSources:
    def test_nothing_said_means_the_defaults(self):
        settings = Settings.load({})
        assert (settings.database, settings.default_token_limit, settings.default_window_days, settings.port) == (
            "sqlite:///kvot.db", 1_000_000, 30, 8080,
        )  # fmt: skip
        assert settings == Settings()

    def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(self, tmp_path):
        config = write(tmp_path / "kvot.toml", 'port = 1\nhost = "file"\njson_case = "pascal"')
        settings = Settings.load({"KVOT_PORT": "2", "KVOT_HOST": "environment"}, config, {"port": 3, "host": None})
        assert (settings.port, settings.host, settings.json_case) == (3, "environment", "pascal")
        assert settings.config == config

    def test_the_environment_can_name_the_file_and_the_command_line_another(self, tmp_path):
        one, two = write(tmp_path / "1.toml", "port = 1"), write(tmp_path / "2.toml", "port = 2")
        assert Settings.load({"KVOT_CONFIG": str(one)}).port == 1
        assert Settings.load({"KVOT_CONFIG": str(one)}, two).port == 2
        assert Settings.load({"KVOT_CONFIG": str(one)}, two).config == two

    @pytest.mark.parametrize(
        ("name", "text", "ours", "ours_text", "value", "ours_value"),
        [
            ("WEB_CONCURRENCY", "3", "KVOT_WORKERS", "2", 3, 2),
            ("PORT", "5000", "KVOT_PORT", "80", 5000, 80),
            ("LOG_LEVEL", "WARN", "KVOT_LOG_LEVEL", "debug", "warning", "debug"),
            ("FORWARDED_ALLOW_IPS", "10.0.0.1", "KVOT_FORWARDED_ALLOW_IPS", "::1", ("10.0.0.1/32",), ("::1/128",)),
            ("KVOT_SECRET_KEY", SECRET, "KVOT_SECRET", SECRET[::-1], SECRET, SECRET[::-1]),
            ("KVOT_SECRET_KEY_FILE", "a", "KVOT_SECRET_FILE", "b", Path("a"), Path("b")),
        ],
    )
    def test_a_name_known_from_elsewhere_counts_where_our_own_is_not_there(
        self, name, text, ours, ours_text, value, ours_value
    ):
        key = ours.removeprefix("KVOT_").lower()
        assert getattr(Settings.load({name: text}), key) == value
        assert getattr(Settings.load({name: text, ours: ours_text}), key) == ours_value
        assert Settings.load({name: ""}) == Settings()

    @pytest.mark.parametrize("name", ["WEB_CONCURRENCY", "PORT", "LOG_LEVEL", "FORWARDED_ALLOW_IPS"])
    def test_what_is_wrong_with_it_is_said_by_that_name_if_it_counts_at_all(self, name):
        assert faults({name: "many"})[0].startswith(f"{name} is 'many': must be")
        Settings.load({name: "many", variable(COMMON_NAMES[name]): GOOD[name]})  # raises nothing

    @pytest.mark.parametrize(
        ("name", "others", "said"),
        [
            ("WEB_CONCURRENCY", "3", "workers = 2"),
            ("LOG_LEVEL", "debug", 'log_level = "error"'),
            ("FORWARDED_ALLOW_IPS", "*", 'forwarded_allow_ips = "10.9.9.9"'),
            ("KVOT_SECRET_KEY", SECRET, f'secret = "{SECRET[::-1]}"'),
            ("KVOT_SECRET_KEY_FILE", "a", 'secret_file = "b"'),
        ],
    )
    def test_nor_does_it_beat_the_file(self, tmp_path, name, others, said):
        config = write(tmp_path / "kvot.toml", said)
        assert Settings.load({name: others}, config) == Settings.load({}, config)
        Settings.load({name: "\n"}, config)  # raises nothing

    def test_but_the_port_of_the_platform_does(self, tmp_path):
        config = write(tmp_path / "kvot.toml", "port = 1")
        assert Settings.load({"PORT": "2"}, config).port == 2
        assert Settings.load({"PORT": "2", "KVOT_PORT": "3"}, config).port == 3

    def test_where_the_command_line_says_the_setting_it_is_not_looked_at(self):
        assert Settings.load({"PORT": "many", "LOG_LEVEL": "many"}, None, {"port": 3, "log_level": "info"}).port == 3

    def test_a_fault_of_the_file_is_not_made_good_by_it(self, tmp_path):
        (fault,) = faults({"LOG_LEVEL": "info"}, write(tmp_path / "kvot.toml", 'log_level = "loud"'))
        assert "kvot.toml is 'loud'" in fault

    @pytest.mark.parametrize(
        ("text", "networks"),
        [
            ("127.0.0.1", ("127.0.0.1/32",)),
            ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
            ("*", ("0.0.0.0/0", "::/0")),
        ],
    )
    def test_proxies_are_ranges(self, text, networks):
        assert Settings.load({"KVOT_FORWARDED_ALLOW_IPS": text}).forwarded_allow_ips == networks

    @pytest.mark.parametrize(
        ("text", "origins"),
        [
            ("https://app.example.com", "https://app.example.com"),
            ("https://App.Example.com", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443, https://b.example:80", "http://app.example.com:443,https://b.example:80"),
            ("http://localhost:05173", "http://localhost:5173"),
            ("http://localhost:", "http://localhost"),
            ("https://[::FF]:443,http://[::1]:8080", "https://[::ff],http://[::1]:8080"),
        ],
    )
    def test_origins_are_as_browsers_send_them(self, text, origins):
        assert Settings.load({"KVOT_CORS_ORIGINS": text}).cors_origins == origins

    def test_colours_are_unwanted_where_the_environment_says_so(self):
        assert [wants_no_colour(each) for each in ({}, {"NO_COLOR": ""}, {"NO_COLOR": "0"})] == [False, False, True]

    def test_names_of_others_in_the_environment_do_not_matter(self):
        assert Settings.load({"HOST": "x", "MY_KVOT_PORT": "y", "NO_COLOR": "1"}) == Settings()

    @pytest.mark.parametrize("service", ["KVOT", "KVOT_POSTGRES", "KVOT_PORT"])
    @pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
    def test_nor_do_the_service_links_of_kubernetes(self, service, protocol):
        address = f"{protocol.lower()}://10.96.0.7:8080"
        links = {
            f"{service}_SERVICE_HOST": "10.96.0.7",
            f"{service}_SERVICE_PORT": "8080",
            f"{service}_SERVICE_PORT_HTTP_2": "8080",
            f"{service}_PORT": address,
            f"{service}_PORT_8080_{protocol}": address,
            f"{service}_PORT_8080_{protocol}_PROTO": protocol.lower(),
            f"{service}_PORT_8080_{protocol}_PORT": "8080",
            f"{service}_PORT_8080_{protocol}_ADDR": "10.96.0.7",
        }
        assert Settings.load(links) == Settings()
        assert Settings.load({**links, "PORT": "80"}).port == 80
        assert Settings.load({**links, "KVOT_PORT": "80"}).port == 80

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("KVOT_PORT", "http://10.96.0.7:8080"),
            ("KVOT_PORTS", "tcp://10.96.0.7:8080"),
            ("KVOT_PORT_HTTP", "8080"),
            ("KVOT_PORT_8080", "8080"),
            ("KVOT_SERVICE", "kvot"),
            ("KVOT_POSTGRES_PORT", "5432"),
            ("KVOT_SERVICE_HOSTS", "10.96.0.7"),
        ],
    )
    def test_but_what_is_none_of_them_is_refused_as_ever(self, name, text):
        assert name in faults({name: text})[0]

    def test_no_setting_has_such_a_name(self):
        for name in map(variable, Settings.__dataclass_fields__):
            assert not _SERVICE_LINK.fullmatch(f"{name}=1")

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///kvot.db", Path("kvot.db")),
            ("sqlite:////var/lib/kvot.db", Path("/var/lib/kvot.db")),
            ("sqlite:///a folder/k%20.db", Path("a folder/k%20.db")),
            ("sqlite:////srv/C#/kvot.db", Path("/srv/C#/kvot.db")),
        ],
    )
    def test_an_embedded_database_is_a_path(self, url, path):
        assert Settings.load({"KVOT_DATABASE": url}).database_path == path

    def test_another_database_is_no_path(self):
        settings = Settings.load({"KVOT_DATABASE": "postgresql://u:p@h/kvot", "KVOT_SECRET": SECRET})
        assert settings.database_path is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("environ", "fault"),
        [
            ({"KVOT_PROT": "1"}, "KVOT_PROT is not a setting. The nearest is KVOT_PORT."),
            ({"KVOT_port": "1"}, "KVOT_port is not a setting. The nearest is KVOT_PORT."),
            ({"KVOT_PORT": "80a"}, "KVOT_PORT is '80a': must be a whole number from 0 to 65535."),
            ({"KVOT_PORT": "65536"}, "KVOT_PORT is '65536': must be a whole number from 0 to 65535."),
            ({"KVOT_PORT": ""}, "KVOT_PORT is empty: remove it, or give it a value (a whole number from 0 to 65535)."),
            ({"KVOT_PORT": "٣"}, "KVOT_PORT is '٣': must be a whole number from 0 to 65535."),
            ({"KVOT_DEFAULT_TOKEN_LIMIT": "2147483648"}, "must be a whole number from 0 to 2147483647"),
            ({"KVOT_DEFAULT_TOKEN_LIMIT": "-1"}, "must be a whole number from 0 to 2147483647"),
            ({"KVOT_JSON_CASE": "snake"}, "KVOT_JSON_CASE is 'snake': must be camel or pascal."),
            ({"KVOT_HOST": ""}, "KVOT_HOST is empty: remove it, or give it a value (text without a line break)."),
            ({"KVOT_OPENAI_API_KEY": ""}, "KVOT_OPENAI_API_KEY is empty: remove it, or give it a value (ASCII"),
            ({"KVOT_HOST": "a\nb"}, "KVOT_HOST is 'a\\nb': must be text without a line break."),
            ({"KVOT_DATABASE": "kvot.db"}, "KVOT_DATABASE: must be sqlite:///relative/path,"),
            ({"KVOT_DATABASE": "sqlite://kvot.db"}, "KVOT_DATABASE: must be sqlite:///relative/path,"),
            ({"KVOT_DATABASE": "sqlite:///:memory:"}, "KVOT_DATABASE: must be sqlite:///relative/path,"),
            (
                {"KVOT_DATABASE": "sqlite:////kvot.db?mode=ro"},
                "KVOT_DATABASE: must be sqlite:///path without a ?: a path takes no options.",
            ),
            ({"KVOT_DATABASE": "mysql://h/kvot"}, "KVOT_DATABASE: must be sqlite:///relative/path,"),
            ({"KVOT_JWT_AUDIENCE": "", "KVOT_JWT_SECRET": SECRET}, "KVOT_JWT_AUDIENCE is empty: remove it, or"),
            ({"KVOT_JWT_SECRET": SECRET[1:]}, "KVOT_JWT_SECRET: must be at least 32 bytes of text without"),
            ({"KVOT_JWT_JWKS_URL": "http://a/jwks"}, "must be an https:// address"),
            ({"KVOT_JWT_JWKS_URL": "https://u:p@a/jwks"}, "must be an address without user name or password"),
            ({"KVOT_JWT_JWKS_URL": "https://a:99999/jwks"}, "must be an address whose port is a whole number"),
            ({"KVOT_JWT_JWKS_URL": "file://host/jwks"}, "must be an https:// address"),
            ({"KVOT_URL": "ftp://a"}, "must be an http:// or https:// address"),
            ({"KVOT_JSONP": "yes"}, "must be off or on"),
            ({"KVOT_CORS_ORIGINS": "*"}, "must be origins like https://app.example.com"),
            ({"KVOT_CORS_ORIGINS": "https://a.example, https://b.example/"}, "must be origins like"),
            ({"KVOT_CORS_ORIGINS": "https://a.example,"}, "must be origins like"),
            (
                {"KVOT_FORWARDED_ALLOW_IPS": "proxy"},
                "must be addresses or CIDR ranges, with commas between them, or *.",
            ),
            ({"KVOT_FORWARDED_ALLOW_IPS": "10.0.0.1/8"}, "must be addresses or CIDR ranges"),
            ({"KVOT_FORWARDED_ALLOW_IPS": "10.0.0.1,"}, "must be addresses or CIDR ranges"),
            ({"KVOT_FORWARDED_ALLOW_IPS": "::1, ::ffff:10.0.0.1"}, "must be addresses or CIDR ranges"),
            ({"KVOT_LOG_LEVEL": "loud"}, "KVOT_LOG_LEVEL is 'loud': must be debug, info, warning or error."),
            ({"KVOT_CONFIG": "/nowhere/kvot.toml"}, "/nowhere/kvot.toml cannot be read: No such file or directory."),
            ({"KVOT_RETENTION_DAYS": "29"}, "KVOT_DEFAULT_WINDOW_DAYS is 30: must be at most KVOT_RETENTION_DAYS"),
            ({"KVOT_JWT_ISSUER": "me"}, "KVOT_JWT_ISSUER is set but no key to verify tokens with"),
            ({"KVOT_JWT_AUDIENCE": "me"}, "KVOT_JWT_AUDIENCE is set but no key to verify tokens with"),
            ({"KVOT_SECRET": SECRET, "KVOT_SECRET_FILE": "s"}, "KVOT_SECRET (or KVOT_SECRET_KEY) and KVOT_SECRET_FILE"),
            ({"KVOT_SECRET_KEY": SECRET, "KVOT_SECRET_FILE": "s"}, "KVOT_SECRET (or KVOT_SECRET_KEY) and"),
            ({"KVOT_SECRET": SECRET, "KVOT_SECRET_KEY_FILE": "s"}, "(or KVOT_SECRET_KEY_FILE) are both set"),
            ({"KVOT_DATABASE": "postgresql://h/kvot"}, "KVOT_SECRET or KVOT_SECRET_FILE must be set"),
        ],
    )
    def test_a_fault_names_the_variable_and_what_it_takes(self, environ, fault):
        (only,) = faults(environ)
        assert fault in only

    @pytest.mark.parametrize(
        "names",
        [
            ("KVOT_JWT_PUBLIC_KEY_FILE", "KVOT_JWT_SECRET"),
            ("KVOT_JWT_JWKS_URL", "KVOT_JWT_SECRET"),
            ("KVOT_JWT_JWKS_URL", "KVOT_JWT_PUBLIC_KEY_FILE"),
        ],
    )
    def test_tokens_are_verified_in_one_way(self, names):
        values = {
            "KVOT_JWT_SECRET": SECRET,
            "KVOT_JWT_PUBLIC_KEY_FILE": "key.pem",
            "KVOT_JWT_JWKS_URL": "https://a/jwks",
        }
        (only,) = faults({name: values[name] for name in names})
        assert only == f"{' and '.join(names)} are both set: tokens are verified in one way."

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("prot = 1", "prot in {} is not a setting. The nearest is port."),
            ('colour = "red"', "colour in {} is not a setting. docs/reference/settings.md lists all"),
            ('config = "x"', "config in {} is not a setting. docs/reference/settings.md lists all"),
            ('host = ""', "host in {} is empty: remove it, or give it a value (text without a line break)."),
            ("port = true", "port in {} is 'True': must be a whole number"),
            ('[jwt]\nsecret = "x"', "jwt in {} is not a setting."),
            ("port =", "{} is not TOML: Invalid value (at "),
            ("# " + "x" * 65_536, "{} cannot be read: it has more than 65536 bytes."),
            ("port = " + "[" * 20_000, "{} cannot be read: its values are nested too deep."),
            (f"port = 0x{'f' * 5_000}", "port in {}: must be a whole number from 0 to 65535."),
            (f"exhausted_status = 0x{'f' * 5_000}", "exhausted_status in {}: must be 429 or 402."),
            (f"json_case = [0x{'f' * 5_000}]", "json_case in {}: must be camel or pascal."),
            (f"log_level = [0x{'f' * 5_000}]", "log_level in {}: must be debug, info, warning or error."),
            (f"host = 0x{'f' * 5_000}", "host in {}: must be text without a line break."),
            (f"json_case{'.a' * 10_000} = 1", "json_case in {}: must be camel or pascal."),
        ],
    )
    def test_a_fault_in_the_file_names_the_file(self, tmp_path, text, fault):
        config = write(tmp_path / "kvot.toml", text)
        (only,) = faults({}, config)
        assert fault.format(config) in only

    def test_a_fault_on_the_command_line_names_the_option(self):
        assert faults({}, json_case="x") == ("--json-case is 'x': must be camel or pascal.",)

    def test_all_faults_are_reported_together(self):
        assert len(faults({"KVOT_PORT": "x", "KVOT_NOPE": "1", "KVOT_JSON_CASE": "y"}, url="z")) == 4

    def test_an_ill_formed_value_is_not_blamed_a_second_time(self):
        assert len(faults({"KVOT_RETENTION_DAYS": "x", "KVOT_DEFAULT_WINDOW_DAYS": "500"})) == 1

    @pytest.mark.parametrize("name", ["KVOT_SECRET", "KVOT_JWT_SECRET", "KVOT_API_KEY", "KVOT_DATABASE"])
    def test_a_secret_is_never_shown(self, name):
        good = {"KVOT_DATABASE": "postgresql://kvot:sesame-sesame-sesame-sesame@h/db", "KVOT_SECRET": SECRET}
        settings = Settings.load({**good, name: good.get(name, "sesame-sesame-sesame-sesame-sesame")})
        assert "sesame" not in repr(settings)
        assert SECRET not in repr(settings)
        assert "sesame" not in " ".join(faults({**good, name: "sesame\n"}))


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("postgresql://kvot:sesame@127.0.0.1:99999/kvot", "from 1 to 65535, not '99999'."),
            ("postgresql://kvot:sesame@127.0.0.1:abc/kvot", "from 1 to 65535, not 'abc'."),
            ("postgresql://kvot:sesame@127.0.0.1:0/kvot", "from 1 to 65535, not '0'."),
            ("postgresql://kvot:sesame@one:5432,two:65536/kvot", "from 1 to 65535, not '65536'."),
            ("postgresql://kvot:sesame@[::1]:x/kvot", "from 1 to 65535, not 'x'."),
            ("postgresql:///kvot?host=one&port=99999&password=sesame", "from 1 to 65535, not '99999'."),
            ("postgresql://kvot:sesame@one,/kvot", "with a host before and after each comma."),
            ("postgresql:///kvot?host=,one&password=sesame", "with a host before and after each comma."),
            ("postgresql://kvot:sesame@[::1/kvot", "with an IPv6 address in brackets."),
            ("postgresql://kvot:sesame/x@h/kvot", "%2F for /"),
            ("postgresql://kvot:5432/sesame@h/kvot", "%2F for /"),
            ("postgresql://kvot:sesame#x@h/kvot", "%23 for #"),
            ("postgresql://kvot:sesame@x@h/kvot", "%40 for @"),
        ],
    )
    def test_the_url_of_a_database_that_leads_nowhere_is_told_by_name_without_its_password(self, url, fault):
        (ours,) = faults({"KVOT_DATABASE": url, "KVOT_SECRET": SECRET})
        assert faults({"KVOT_SECRET": SECRET}, database=url) == (ours.replace("KVOT_DATABASE", "--database"),)
        assert ours.startswith("KVOT_DATABASE: must be ")
        assert fault in ours
        assert "sesame" not in ours

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://h",
            "postgresql://u:p%40%2F@h:/kvot",
            "postgresql://u:p@one:1,[::1]:65535,two/kvot",
            "postgresql:///kvot?host=/run/a:b&port=5432",
            "postgresql://h:5432/kvot?user=me@azure",
        ],
    )
    def test_what_the_driver_can_use_is_taken(self, url):
        assert Settings.load({"KVOT_DATABASE": url, "KVOT_SECRET": SECRET}).database == url

    @pytest.mark.parametrize("name", ["KVOT_URL", "KVOT_OPENAI_BASE_URL", "KVOT_JWT_JWKS_URL", "KVOT_CORS_ORIGINS"])
    @pytest.mark.parametrize("who", ["user:sesame@", "sesame@", "user:sesame/@", "user:se@same@"])
    def test_who_is_named_in_an_address_is_said_to_be_too_much_and_not_shown(self, name, who):
        (fault,) = faults({name: f"https://{who}h"})
        assert fault == f"{name} is 'https://***@h': must be an address without user name or password."

    @pytest.mark.parametrize("query", ["?", "?api-version=preview", "/?key=sesame", "/v1?sesame/"])
    def test_no_path_can_be_put_behind_a_query(self, tmp_path, query):
        url = f"https://h{query}"
        names = ["KVOT_URL", *(f"KVOT_{name.upper()}_BASE_URL" for name in OWN_PROVIDERS)]
        config = write(tmp_path / "kvot.toml", MISTRAL.replace("https://api.mistral.ai/v1/", url))
        found = faults(dict.fromkeys(names, url), config)
        assert len(found) == len(names) + 1
        for fault in found:
            assert "must be an address without a ? and what follows it" in fault
            assert ("api_version" in fault, "sesame" in fault) == ("BASE_URL" in fault.upper(), False)

    def test_the_address_of_a_jwks_may_have_one(self):
        assert Settings.load({"KVOT_JWT_JWKS_URL": "https://h/keys?p=b2c"}).jwt_jwks_url == "https://h/keys?p=b2c"

    @pytest.mark.parametrize("name", ["KVOT_URL", "KVOT_OPENAI_BASE_URL", "KVOT_JWT_JWKS_URL", "KVOT_CORS_ORIGINS"])
    @pytest.mark.parametrize("url", ["https://h#", "https://h#sesame"])
    def test_nor_behind_a_fragment(self, name, url):
        assert "must be an address without a # and what follows it" in faults({name: url})[0]

    @pytest.mark.parametrize("name", ["KVOT_URL", "KVOT_OPENAI_BASE_URL", "KVOT_JWT_JWKS_URL", "KVOT_CORS_ORIGINS"])
    @pytest.mark.parametrize("host", ["a..b", ".", "a" * 64, f"www.{'a' * 64}.example", "xn--\u00e9", "\u00e9" * 60])
    def test_a_host_that_nobody_can_look_up_is_refused(self, name, host):
        (fault,) = faults({name: f"https://{host}"})
        assert f"{name} is 'https://{host}'"[:80] in fault
        assert fault.endswith(
            "must be an address whose host can be a name: letters and digits, 1 to 63 of them between its dots."
        )

    @pytest.mark.parametrize("host", ["a" * 63, "h.", "my_ollama", "10.0.0.1", "[::1]", "xn--e-ufa", "\u00e9.example"])
    def test_any_other_is_taken(self, host):
        assert Settings.load({"KVOT_URL": f"http://{host}:8080"}).url == f"http://{host}:8080"

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("user:sesame@h/v1", "***@h/v1"),
            ("http://h:99999/?key=sesame", "http://h:99999/?***"),
            ("http://h:x", "http://h:x"),
        ],
    )
    def test_no_other_fault_shows_a_secret(self, url, shown):
        (fault,) = faults({"KVOT_URL": url})
        assert fault.startswith(f"KVOT_URL is '{shown}': must be an ")


KEYS = [f"KVOT_{name}API_KEY" for name in ("", "OPENAI_", "ANTHROPIC_", "GEMINI_", "OLLAMA_")]


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "key",
    ["sesame\n", "sesame\r\nx-evil: 1", "sesame 1", " sesame", "sesame\0", "sesame\x7f", "sesam\u00e9", "sesame\u2013"],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(tmp_path, name, key):
    config = write(tmp_path / "kvot.toml", f"{name.removeprefix('KVOT_').lower()} = {json.dumps(key)}")
    words = ": must be ASCII text without a space or a line break."
    base_url = {"KVOT_OLLAMA_BASE_URL": "http://127.0.0.1:11434"}
    assert faults({**base_url, name: key}) == (name + words,)
    assert faults(base_url, config) == (f"{name.removeprefix('KVOT_').lower()} in {config}{words}",)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("key", ['"sesame"', "'sesame'", '"', "''"])
def test_a_key_in_quotes_is_refused_and_not_shown(tmp_path, name, key):
    base_url = {"KVOT_OLLAMA_BASE_URL": "http://127.0.0.1:11434"}
    assert faults({**base_url, name: key}) == (f"{name}: must be the key without the quotes around it.",)
    Settings.load({**base_url, name: f"x{key}"})  # raises nothing
    config = write(tmp_path / "kvot.toml", MISTRAL.replace('"sk-m"', json.dumps(key)))
    (fault,) = faults({}, config)
    assert fault == f"providers.mistral.api_key in {config}: must be the key without the quotes around it."


MISTRAL = '[providers.mistral]\ndialect = "mistral"\nbase_url = "https://api.mistral.ai/v1/"\napi_key = "sk-m"\n'


class TestProviders:
    def test_none_is_offered_until_there_is_a_key_or_another_address(self):
        assert providers_of(Settings.load({})) == ()
        keyed = Settings.load({"KVOT_OPENAI_API_KEY": "sk-o", "KVOT_OLLAMA_BASE_URL": "http://127.0.0.1:11434"})
        assert providers_of(keyed) == (
            ProviderSettings("openai", "openai", "https://api.openai.com/v1", "sk-o"),
            ProviderSettings("ollama", "ollama", "http://127.0.0.1:11434"),
        )

    def test_one_to_which_companies_bring_keys_is_offered_without_a_key(self):
        settings = Settings.load({"KVOT_OWN_KEY_PROVIDERS": "gemini, openai", "KVOT_OPENAI_API_KEY": "sk-o"})
        assert providers_of(settings) == (
            ProviderSettings("openai", "openai", "https://api.openai.com/v1", "sk-o", needs_key=True),
            ProviderSettings("gemini", "gemini", "https://generativelanguage.googleapis.com", needs_key=True),
        )

    def test_nor_is_anything_sent_there_without_one_where_it_has_another_address(self):
        address = "https://eu.api.openai.com/v1"
        settings = Settings.load({"KVOT_OWN_KEY_PROVIDERS": "openai", "KVOT_OPENAI_BASE_URL": address})
        assert providers_of(settings) == (ProviderSettings("openai", "openai", address, needs_key=True),)

    @pytest.mark.parametrize("names", ["ollama", "openai,", "mistral", "OpenAI"])
    def test_but_only_one_that_has_an_address_by_default(self, names):
        with pytest.raises(SettingsError, match="KVOT_OWN_KEY_PROVIDERS"):
            Settings.load({"KVOT_OWN_KEY_PROVIDERS": names})

    def test_more_are_named_in_the_file(self, tmp_path):
        settings = Settings.load({}, write(tmp_path / "kvot.toml", MISTRAL))
        assert providers_of(settings) == (
            ProviderSettings("mistral", "mistral", "https://api.mistral.ai/v1", "sk-m"),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            (MISTRAL.replace("[providers.mistral]", "[providers.assistant]"), "leads elsewhere already"),
            (MISTRAL.replace("[providers.mistral]", "[providers.openai]"), "leads elsewhere already"),
            (
                MISTRAL.replace("[providers.mistral]", "[providers.Mistral]"),
                "providers.Mistral in {}: must have a name of",
            ),
            (
                MISTRAL.replace("api_key", "apikey"),
                "providers.mistral.apikey in {} is not a setting. The nearest is api_key.",
            ),
            (
                MISTRAL.replace("sk-m", "sk-m\\u00e5"),
                "providers.mistral.api_key in {}: must be ASCII text without a space",
            ),
            (MISTRAL.replace("sk-m", ""), "providers.mistral.api_key in {} is empty: remove it"),
            (
                MISTRAL.replace("dialect", "# "),
                "providers.mistral in {} lacks dialect: which API it speaks, such as openai",
            ),
            (
                MISTRAL.replace("base_url", "# "),
                "providers.mistral in {} lacks base_url: an http:// or https:// address",
            ),
            (
                MISTRAL.replace("https://", ""),
                "mistral.base_url in {} is 'api.mistral.ai/v1/': must be an http:// or https://",
            ),
            (
                MISTRAL.replace("//", "//u:sk-m@"),
                "is 'https://***@api.mistral.ai/v1/': must be an address without user name",
            ),
            ('providers.mistral = "sk-m"', "providers.mistral in {}: must be a table with dialect, base_url"),
            ('providers = "mistral"', "must be in TOML"),
        ],
    )
    def test_what_cannot_be_a_provider_is_refused_without_its_key(self, tmp_path, text, fault):
        config = write(tmp_path / "kvot.toml", text)
        (found,) = faults({"KVOT_OPENAI_API_KEY": "sk-o"}, config)
        assert fault.format(config) in found
        assert "sk-m" not in found

    def test_every_fault_of_every_one_is_told(self, tmp_path):
        text = MISTRAL.replace("https", "ftp") + "[providers.groq]\nurl = 5"
        assert [each.split()[0] for each in faults({}, write(tmp_path / "kvot.toml", text))] == [
            "providers.mistral.base_url", "providers.groq.url", "providers.groq", "providers.groq",
        ]  # fmt: skip


class TestSecret:
    def test_the_first_embedded_start_makes_it_for_its_owner_alone(self, tmp_path):
        settings = Settings(database=f"sqlite:///{tmp_path}/kvot.db")
        secret = read_secret(settings)
        assert (tmp_path / "kvot.db.secret").stat().st_mode & 0o777 == 0o600
        assert len(secret) == 43  # 256 bits in base64
        assert read_secret(settings) == secret
        assert [path.name for path in tmp_path.iterdir()] == ["kvot.db.secret"]

    def test_two_databases_have_two_secrets(self, tmp_path):
        one, two = (read_secret(Settings(database=f"sqlite:///{tmp_path}/{name}.db")) for name in "ab")
        assert one != two

    def test_it_can_be_given_in_full_or_in_a_file(self, tmp_path):
        file = write(tmp_path / "s", SECRET + "\n", 0o400)
        assert read_secret(Settings(secret=SECRET)) == read_secret(Settings(secret_file=file)) == SECRET.encode()

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
    def test_a_file_that_others_may_open_is_refused(self, tmp_path, mode):
        with pytest.raises(SettingsError, match=rf"open to others than its owner \(mode {mode:04o}\)"):
            read_secret(Settings(secret_file=write(tmp_path / "s", SECRET, mode)))

    def test_a_short_one_is_refused(self, tmp_path):
        with pytest.raises(SettingsError, match="must hold at least 32 bytes"):
            read_secret(Settings(secret_file=write(tmp_path / "s", SECRET[1:] + "\n")))

    def test_a_database_that_lost_its_secret_does_not_get_a_new_one(self, tmp_path):
        write(tmp_path / "kvot.db", "SQLite format 3\0…")
        with pytest.raises(SettingsError, match="put the file back"):
            read_secret(Settings(database=f"sqlite:///{tmp_path}/kvot.db"))
        assert not (tmp_path / "kvot.db.secret").exists()

    def test_nor_does_a_file_that_is_no_database(self, tmp_path):
        write(tmp_path / "notes.txt", "content")
        with pytest.raises(SettingsError, match=r"notes\.txt is not a database"):
            read_secret(Settings(database=f"sqlite:///{tmp_path}/notes.txt"))
        assert not (tmp_path / "notes.txt.secret").exists()

    def test_nor_does_a_folder(self, tmp_path):
        with pytest.raises(SettingsError, match="is not a database"):
            read_secret(Settings(database=f"sqlite:///{tmp_path}"))

    @pytest.mark.parametrize(
        ("log", "said"), [(False, "is a database of another program"), (True, "put the file back")]
    )
    def test_nor_does_a_database_of_another_program_as_far_as_its_file_says(self, tmp_path, log, said):
        write(tmp_path / "other.db", "SQLite format 3\0".ljust(100, "\0"))
        if log:  # what is in the file may be older than that
            write(tmp_path / "other.db-wal", "")
        with pytest.raises(SettingsError, match=said):
            read_secret(Settings(database=f"sqlite:///{tmp_path}/other.db"))

    def test_a_command_that_needs_none_is_not_asked_for_one(self):
        url = {"KVOT_DATABASE": "postgresql://h/d"}
        assert Settings.load(url, needs_secret=False).secret is None
        assert "KVOT_SECRET" in faults(url)[0]

    def test_none_is_made_for_a_database_elsewhere(self, tmp_path):
        settings = Settings(database="postgresql://h/kvot", secret_file=tmp_path / "s")
        with pytest.raises(SettingsError, match=r"does not exist\. Put back the one"):
            read_secret(settings)

    def test_a_folder_that_is_not_there_is_a_clear_fault(self, tmp_path):
        with pytest.raises(SettingsError, match=f"there is no folder {tmp_path}/nowhere. Make the folder first"):
            read_secret(Settings(database=f"sqlite:///{tmp_path}/nowhere/kvot.db"))

    def test_a_link_that_leads_nowhere_is_no_missing_folder(self, tmp_path):
        (tmp_path / "kvot.db.secret").symlink_to("nowhere")
        with pytest.raises(SettingsError, match="cannot be read or made: No such file"):
            read_secret(Settings(database=f"sqlite:///{tmp_path}/kvot.db"))

    def test_what_is_no_file_is_refused(self, tmp_path):
        os.mkfifo(tmp_path / "s", 0o600)
        with pytest.raises(SettingsError, match="is not a regular file"):
            read_secret(Settings(secret_file=tmp_path / "s"))


class TestPage:
    def test_every_setting_is_documented(self):
        for name in Settings.__dataclass_fields__:
            assert f"| `{variable(name)}` |" in reference_page()

    def test_the_page_is_what_the_code_says(self):
        assert PAGE.read_text() == reference_page(), "run: python -m kvot.settings > docs/reference/settings.md"
