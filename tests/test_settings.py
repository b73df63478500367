"""Where a setting's value comes from, and what is said of one that cannot be used."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.errors import ConfigError
from headgate.settings import (
    DEFAULTS,
    NAMES,
    TYPES,
    Loaded,
    Settings,
    Source,
    database_url,
    env_name,
    help_of,
    home_of,
    load,
    parse,
    read_profiles,
    setting_name,
)

Load = Callable[..., Loaded]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def load_with(home: Path) -> Load:
    """Settings in a home that holds `profiles` as its file, under an environment and flags."""

    def load_settings(
        environ: Mapping[str, str] | None = None,
        *,
        profiles: str | None = None,
        flags: Mapping[str, Any] | None = None,
        profile: str | None = None,
    ) -> Loaded:
        if profiles is not None:
            (home / "profiles.toml").write_text(profiles)
        return load(flags, environ={"HEADGATE_HOME": str(home), **(environ or {})}, profile=profile)

    return load_settings


PROFILES = """
active = "work"

[profiles.work]
HEADGATE_SERVER_API_PORT = 4001

[profiles.other]
server_api_port = 4002
"""


@pytest.mark.parametrize(
    ("flag", "own", "peers", "profile", "port", "source"),
    [
        (5, "6", "7", PROFILES, 5, Source.FLAG),
        (None, "6", "7", PROFILES, 6, Source.ENV),
        (None, None, "7", PROFILES, 7, Source.PEER_ENV),
        (None, "", "", PROFILES, 4001, Source.PROFILE),
        (None, None, None, None, 4200, Source.DEFAULT),
        (0, "6", None, None, 0, Source.FLAG),
    ],
)
def test_flags_go_before_our_environment_before_the_peers_before_the_profile_before_the_default(
    load_with: Load, flag: int | None, own: str | None, peers: str | None, profile: str | None, port: int, source: Source
) -> None:
    environ = {"HEADGATE_SERVER_API_PORT": own, "PREFECT_SERVER_API_PORT": peers}
    given = {name: value for name, value in environ.items() if value is not None}
    loaded = load_with(given, profiles=profile, flags={"server_api_port": flag})
    assert loaded.settings.server_api_port == port
    assert loaded.sources["server_api_port"] is source


def test_every_setting_has_a_source_a_name_and_one_line_of_help(load_with: Load) -> None:
    loaded = load_with()
    assert set(loaded.sources) == set(NAMES)
    assert loaded.sources.pop("home") is Source.ENV
    assert set(loaded.sources.values()) == {Source.DEFAULT}
    for name in NAMES:
        assert setting_name(env_name(name)) == name
        assert help_of(name).endswith(".")
        assert "\n" not in help_of(name)


def test_every_default_is_within_its_own_bounds() -> None:
    assert msgspec.convert(msgspec.to_builtins(DEFAULTS), Settings) == DEFAULTS


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_be_set_by_text_that_says_its_default(name: str) -> None:
    default = getattr(DEFAULTS, name)
    if default is not None:
        assert parse(name, str(default), origin="here") == default


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_answers_to_the_peers_name(load_with: Load, name: str) -> None:
    if name == "home":
        return
    kind = TYPES[name].__origin__
    text = {bool: "false", int: "17", float: "17"}.get(kind, "text")
    loaded = load_with({f"PREFECT_{name.upper()}": text})
    assert str(getattr(loaded.settings, name)).lower().removesuffix(".0") == text
    assert loaded.sources[name] is Source.PEER_ENV


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "True", "TRUE", "1", "yes", "on", " on ")),
        *((text, False) for text in ("false", "False", "0", "no", "off", "OFF")),
    ],
)
def test_booleans_are_read_as_people_write_them(text: str, value: bool) -> None:
    assert parse("logging_to_api_enabled", text, origin="here") is value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logging_to_api_enabled", "maybe"),
        ("logging_to_api_enabled", "2"),
        ("server_api_port", "http"),
        ("server_api_port", "-1"),
        ("server_api_port", "65536"),
        ("server_api_port", "4200.5"),
        ("api_request_timeout", "0"),
        ("api_request_timeout", "soon"),
        ("api_request_timeout", "nan"),
        ("api_request_timeout", "inf"),
        ("api_request_timeout", "1e999"),
        ("runner_process_limit", True),
        ("api_url", 17),
        ("server_leases_seconds", [1]),
    ],
)
def test_what_cannot_be_used_is_told_with_its_name_its_value_and_where_it_stood(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(name, value, origin="the attic")
    message = str(caught.value)
    assert env_name(name) in message
    assert repr(value) in message
    assert "the attic" in message
    assert not message.endswith("..")


@pytest.mark.parametrize(
    ("environ", "profiles", "flags", "origin"),
    [
        ({"HEADGATE_SERVER_API_PORT": "x"}, None, {}, "the environment"),
        ({"PREFECT_SERVER_API_PORT": "x"}, None, {}, "the environment"),
        ({}, 'profiles = {default = {server_api_port = "x"}}', {}, "profile 'default'"),
        ({}, None, {"server_api_port": "x"}, "a flag"),
    ],
)
def test_the_place_of_a_wrong_value_is_told(
    load_with: Load, environ: dict[str, str], profiles: str | None, flags: dict[str, Any], origin: str
) -> None:
    with pytest.raises(ConfigError, match=r"HEADGATE_SERVER_API_PORT='x'") as caught:
        load_with(environ, profiles=profiles, flags=flags)
    assert origin in str(caught.value)


def test_a_wrong_value_that_a_stronger_one_covers_is_told_all_the_same(load_with: Load) -> None:
    with pytest.raises(ConfigError, match="HEADGATE_SERVER_API_PORT"):
        load_with({"HEADGATE_SERVER_API_PORT": "x"}, flags={"server_api_port": 1})


def test_an_environment_name_set_to_nothing_is_not_set(load_with: Load) -> None:
    loaded = load_with({"HEADGATE_API_URL": "", "PREFECT_API_URL": "http://h/api"})
    assert loaded.settings.api_url == "http://h/api"


# --- profiles


@pytest.mark.parametrize(
    ("environ", "profile", "used"),
    [
        ({}, None, "work"),
        ({"HEADGATE_PROFILE": "other"}, None, "other"),
        ({"PREFECT_PROFILE": "other"}, None, "other"),
        ({"HEADGATE_PROFILE": "work", "PREFECT_PROFILE": "other"}, None, "work"),
        ({"HEADGATE_PROFILE": "work"}, "other", "other"),
        ({}, "default", "default"),
    ],
)
def test_the_asked_for_profile_goes_before_the_environments_before_the_active_one(
    load_with: Load, environ: dict[str, str], profile: str | None, used: str
) -> None:
    loaded = load_with(environ, profiles=PROFILES, profile=profile)
    assert loaded.profile == used
    assert loaded.settings.server_api_port == {"work": 4001, "other": 4002, "default": 4200}[used]


@pytest.mark.parametrize(
    ("environ", "profiles"),
    [
        ({"HEADGATE_PROFILE": "nowhere"}, PROFILES),
        ({"HEADGATE_PROFILE": "nowhere"}, None),
        ({}, 'active = "nowhere"'),
    ],
)
def test_a_profile_that_does_not_exist_is_told_by_its_name(
    load_with: Load, environ: dict[str, str], profiles: str | None
) -> None:
    with pytest.raises(ConfigError, match="There is no profile 'nowhere'; `headgate profile ls`"):
        load_with(environ, profiles=profiles)


@pytest.mark.parametrize(
    "content",
    [
        b"active = ",
        b"\xff\xfe",
        b"active = 3",
        b"profiles = 3",
        b"[profiles]\nwork = 3",
        b"profiles = [1]",
        b"[profiles.work]\na = 1\na = 2",
        b"\x00",
    ],
)
def test_a_broken_file_is_told_by_its_path_with_the_way_out(load_with: Load, home: Path, content: bytes) -> None:
    (home / "profiles.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"Cannot read .*profiles\.toml: .* Mend or remove the file\."):
        load_with()


def test_a_directory_where_the_file_should_be_is_told(load_with: Load, home: Path) -> None:
    (home / "profiles.toml").mkdir()
    with pytest.raises(ConfigError, match=r"Cannot read .*profiles\.toml"):
        load_with()


def test_without_a_file_there_is_the_default_profile(home: Path) -> None:
    assert read_profiles(home / "nowhere") == ("default", {"default": {}})


def test_an_empty_file_is_no_file(load_with: Load) -> None:
    assert load_with(profiles="").profile == "default"


@pytest.mark.parametrize("key", ["HEADGATE_SERVER_API_PORT", "server_api_port", "PREFECT_SERVER_API_PORT"])
def test_a_profile_may_use_any_of_a_settings_names(load_with: Load, key: str) -> None:
    loaded = load_with(profiles=f"[profiles.default]\n{key} = 4003")
    assert loaded.settings.server_api_port == 4003
    assert loaded.sources["server_api_port"] is Source.PROFILE


@pytest.mark.parametrize("key", ["HEADGATE_SERVER_API_PROT", "colour"])
def test_a_key_that_no_setting_has_is_told_with_its_profile(load_with: Load, key: str) -> None:
    with pytest.raises(ConfigError, match=f"Profile 'default': There is no setting '{key}'"):
        load_with(profiles=f"[profiles.default]\n{key} = 1")


def test_the_peers_own_settings_are_passed_over_in_a_profile_as_they_are_in_the_environment(load_with: Load) -> None:
    own = "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"
    loaded = load_with({own: "true"}, profiles=f'[profiles.default]\n{own} = "true"\nPREFECT_API_URL = "http://h/api"')
    assert loaded.settings.api_url == "http://h/api"


def test_a_broken_profile_that_is_not_in_use_breaks_nothing(load_with: Load) -> None:
    assert load_with(profiles="[profiles.other]\ncolour = 1").profile == "default"


def test_the_home_cannot_stand_in_a_profile_that_is_found_through_it(load_with: Load) -> None:
    with pytest.raises(ConfigError, match="HEADGATE_HOME, which says where profiles are kept"):
        load_with(profiles='[profiles.default]\nHEADGATE_HOME = "/elsewhere"')


# --- names, homes, databases


@pytest.mark.parametrize("key", ["HEADGATE_API_URL", "PREFECT_API_URL", "api_url", "API_URL", " HEADGATE_API_URL "])
def test_setting_names_are_told_from_any_way_to_write_them(key: str) -> None:
    assert setting_name(key) == "api_url"


def test_a_name_that_no_setting_has_is_told() -> None:
    with pytest.raises(ConfigError, match="There is no setting 'HEADGATE_API_ULR'"):
        setting_name("HEADGATE_API_ULR")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"HEADGATE_HOME": "/a", "PREFECT_HOME": "/b"}, "/a"),
        ({"PREFECT_HOME": "/b"}, "/b"),
        ({"HEADGATE_HOME": "", "PREFECT_HOME": "/b"}, "/b"),
        ({}, "~/.headgate"),
        ({"HEADGATE_HOME": "~/x"}, "~/x"),
    ],
)
def test_the_home_is_ours_before_the_peers_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], home: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = Path(home.replace("~", str(tmp_path)))
    assert home_of(environ) == expected
    assert load(environ=environ).settings.home_path == expected


def test_the_default_database_is_a_file_in_the_home() -> None:
    assert database_url(Settings(home="/a")) == "sqlite:////a/headgate.db"
    assert database_url(Settings(server_database_connection_url="postgresql://u@h/d")) == "postgresql://u@h/d"


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.api_url = "x"  # type: ignore[misc]


def test_origins_are_read_from_one_line() -> None:
    assert Settings().allowed_origins == []
    given = Settings(server_cors_allowed_origins=" https://a.example/, https://b.example ,")
    assert given.allowed_origins == ["https://a.example", "https://b.example"]
