"""Settings: where a value comes from, and what is said of a wrong one."""

from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.settings import DEFAULTS, NAMES, Source, help_of, load, parse, setting_name


@pytest.fixture
def profiles(home: Path) -> None:
    """An active profile `staging` that sets the port and the level."""
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "staging"\n'
        '[profiles.staging]\nHEADGATE_SERVER_API_PORT = 1\nPREFECT_LOGGING_LEVEL = "DEBUG"\n'
        "[profiles.other]\nserver_api_port = 2\n"
    )


@pytest.mark.parametrize(
    ("flags", "environ", "port", "source"),
    [
        ({"server_api_port": 5}, {"HEADGATE_SERVER_API_PORT": "4", "PREFECT_SERVER_API_PORT": "3"}, 5, Source.FLAG),
        ({"server_api_port": None}, {"HEADGATE_SERVER_API_PORT": "4", "PREFECT_SERVER_API_PORT": "3"}, 4, Source.ENV),
        ({}, {"PREFECT_SERVER_API_PORT": "3"}, 3, Source.PEER_ENV),
        ({}, {"HEADGATE_SERVER_API_PORT": ""}, 1, Source.PROFILE),
        ({}, {"HEADGATE_PROFILE": "other"}, 2, Source.PROFILE),
        ({}, {"PREFECT_PROFILE": "default"}, 4200, Source.DEFAULT),
    ],
)
def test_flags_go_before_environment_before_profile_before_default(
    profiles: None, home: Path, flags: dict[str, int], environ: dict[str, str], port: int, source: Source
) -> None:
    loaded = load(flags, environ={"HEADGATE_HOME": str(home)} | environ)
    assert (loaded.settings.server_api_port, loaded.sources["server_api_port"]) == (port, source)


def test_a_profile_that_is_asked_for_goes_before_the_environments(profiles: None, home: Path) -> None:
    loaded = load(environ={"HEADGATE_HOME": str(home), "HEADGATE_PROFILE": "staging"}, profile="other")
    assert (loaded.profile, loaded.settings.server_api_port) == ("other", 2)


def test_a_profile_may_use_the_peers_names(profiles: None, home: Path) -> None:
    assert load(environ={"HEADGATE_HOME": str(home)}).settings.logging_level == "DEBUG"


def test_the_peers_home_is_ours_where_only_that_is_set(profiles: None, home: Path) -> None:
    assert load(environ={"PREFECT_HOME": str(home)}).profile == "staging"


@pytest.mark.parametrize("key", ["HEADGATE_API_URL", "PREFECT_API_URL", "api_url", " API_URL "])
def test_a_setting_has_many_names(key: str) -> None:
    assert setting_name(key) == "api_url"


@pytest.mark.parametrize("text", ["true", "1", "YES", "on"])
def test_booleans_are_read_as_people_write_them(text: str) -> None:
    assert parse("server_services_scheduler_enabled", text, origin="a test") is True


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HEADGATE_SERVER_API_PORT": "many"}, "HEADGATE_SERVER_API_PORT='many' (from the environment) is not valid"),
        ({"PREFECT_SERVER_API_PORT": "-1"}, "HEADGATE_SERVER_API_PORT='-1'"),
        ({"HEADGATE_PROFILE": "nowhere"}, "There is no profile 'nowhere'"),
    ],
)
def test_a_wrong_value_is_named_with_its_origin(home: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={"HEADGATE_HOME": str(home)} | environ)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("HEADGATE_API_ULR = 'x'", "There is no setting 'HEADGATE_API_ULR'"),
        ("HEADGATE_SERVER_API_PORT = 'many'", "(from profile 'default') is not valid"),
    ],
)
def test_a_wrong_profile_is_named(home: Path, profile: str, said: str) -> None:
    home.mkdir()
    (home / "profiles.toml").write_text(f"[profiles.default]\n{profile}\n")
    with pytest.raises(ConfigError) as caught:
        load(environ={"HEADGATE_HOME": str(home)})
    assert said in str(caught.value)


def test_every_setting_has_its_line_of_help_and_a_default_that_is_valid() -> None:
    assert all(help_of(name) for name in NAMES)
    assert all(parse(name, getattr(DEFAULTS, name), origin="the default") == getattr(DEFAULTS, name) for name in NAMES)
