from __future__ import annotations

from pathlib import Path

import pytest

from jobd.errors import ConfigurationError
from jobd.settings import Settings


def load(**variables: str) -> Settings:
    return Settings.load(environment={f"JOBD_{name}": value for name, value in variables.items()})


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load()
    assert settings.queues == ("default",)
    assert settings.concurrency == 4
    assert settings.import_roots == ()
    assert settings.shutdown_grace_seconds == 25
    assert settings.stop_timeout_seconds == 10
    assert settings.metrics_listen is not None
    assert settings.metrics_listen.startswith("127.0.0.1:")


def test_lists_of_names_are_separated_by_commas_and_paths_by_colons() -> None:
    settings = load(QUEUES="a, b,,c", IMPORT_ROOTS="/srv/in:/data", SPOOL="/spool")
    assert settings.queues == ("a", "b", "c")
    assert settings.import_roots == (Path("/srv/in"), Path("/data"))
    assert settings.readable_roots == (Path("/srv/in"), Path("/data"), Path("/spool"))


def test_off_is_understood() -> None:
    settings = load(NOTIFY="off", METRICS_LISTEN="off")
    assert settings.notify is False
    assert settings.metrics_listen is None


def test_an_empty_variable_is_not_set() -> None:
    assert load(CONCURRENCY="", API_LISTEN="").concurrency == 4


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QUEUE", "a", "JOBD_QUEUE: unknown setting (did you mean JOBD_QUEUES?)"),
        ("XYZZY", "a", "JOBD_XYZZY: unknown setting; `jobd run --help` lists them all"),
        ("CONCURRENCY", "many", "JOBD_CONCURRENCY: Input should be a valid integer"),
        ("CONCURRENCY", "0", "JOBD_CONCURRENCY: Input should be greater than or equal to 1"),
        ("METRICS_LISTEN", "9464", "JOBD_METRICS_LISTEN: must be host:port, for instance 127.0.0.1:9090"),
        ("IMPORT_ROOTS", "in", "JOBD_IMPORT_ROOTS: in is not an absolute path"),
        ("LOG_LEVEL", "loud", "JOBD_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"),
        ("API_LISTEN", "127.0.0.1:8080", "JOBD_API_LISTEN is for a part that is not built yet: leave it unset"),
        ("EXPORT_ROOTS", "/srv/out", "JOBD_EXPORT_ROOTS is for a part that is not built yet: leave it unset"),
        ("LEASE_SECONDS", "1", "JOBD_LEASE_SECONDS must be at least three times JOBD_HEARTBEAT_SECONDS"),
        ("ROLE_PREFIX", 'x"; drop', "JOBD_ROLE_PREFIX: String should match pattern '^[a-z_][a-z0-9_]{0,30}$'"),
        (
            "DATABASE_URL_FILE",
            "/no/such",
            "JOBD_DATABASE_URL_FILE: cannot read /no/such: No such file or directory",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(**{name: value})
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_the_environment_wins_over_the_env_file_and_options_over_both(tmp_path: Path) -> None:
    env_file = tmp_path / "jobd.env"
    env_file.write_text("# mine\nJOBD_CONCURRENCY=2\nJOBD_BATCH_SIZE=10\nJOBD_INSTANCE='from file'\nOTHER=1\n")
    environment = {"JOBD_ENV_FILE": str(env_file), "JOBD_BATCH_SIZE": "20"}
    settings = Settings.load(environment=environment, instance="mine")
    assert (settings.concurrency, settings.batch_size, settings.instance) == (2, 20, "mine")


def test_a_missing_env_file_is_said() -> None:
    with pytest.raises(ConfigurationError, match="JOBD_ENV_FILE: no such file"):
        load(ENV_FILE="/no/such/file")


def test_a_secret_file_is_read_again_each_time(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://one\n")
    settings = load(DATABASE_URL_FILE=str(secret))
    assert settings.secret("database_url") == "postgresql://one"
    secret.write_text("postgresql://two\n")
    assert settings.secret("database_url") == "postgresql://two"


def test_secrets_do_not_show() -> None:
    settings = load(DATABASE_URL="postgresql://u:hidden@h/d", SUBMITTER_SECRET="hidden")
    assert "hidden" not in repr(settings)
    assert "hidden" not in settings.model_dump_json()


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
