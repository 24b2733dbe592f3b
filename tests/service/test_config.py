"""Settings by flag and by environment variable."""

import pytest

from starflow_service import config
from starflow_service.config import ConfigError, HelpRequest, read_config
from starflow_service.runtime.options import Options
from starflow_service.starlark.limits import Limits

# What no operator sets: the runtime fits it to the time that slices take.
FITTED = {"slice_steps"}


def test_every_limit_can_be_set_and_its_option_is_its_name():
    limits = {setting.limit: setting.flag for setting in config.TABLE if setting.limit}

    assert limits.keys() == Limits().by_name().keys() - FITTED
    for name, flag in limits.items():
        assert flag == "--" + name.removesuffix("_ns").replace("_", "-")


def test_a_limit_of_time_is_a_duration():
    limits = read_config(["--max-cpu-time", "500ms"], {}).options.limits

    assert limits == Limits(max_cpu_time_ns=500_000_000)


def test_without_anything_it_serves_loopback_and_keeps_runs_here():
    read = read_config([], {})

    assert (read.host, read.port) == ("127.0.0.1", 7233)
    assert read.store == "sqlite:starflow.db"
    assert (read.port_file, read.log_level, read.log_format) == ("", "info", "")
    assert read.options == Options()


def test_other_servers_find_one_beside_its_address_unless_told_otherwise():
    beside = read_config(["--listen", "[::1]:7233"], {})
    apart = read_config(
        ["--peer-listen", "127.0.0.1:7234", "--advertise", "shop-0:9"], {}
    )

    assert (beside.peer_host, beside.peer_port, beside.advertise) == ("::1", 0, "")
    assert (apart.peer_host, apart.peer_port) == ("127.0.0.1", 7234)
    assert apart.advertise == "shop-0:9"
    beside.check_advertised()
    apart.check_advertised()


def test_a_server_that_listens_everywhere_has_to_say_where_it_is():
    anywhere = ["--listen", "0.0.0.0:7233", "--insecure-listen-anywhere"]

    read_config([*anywhere, "--advertise", "shop-0:7234"], {}).check_advertised()
    with pytest.raises(ConfigError, match="--advertise HOST:PORT is needed"):
        read_config(anywhere, {}).check_advertised()
    with pytest.raises(ConfigError, match="--advertise must be HOST:PORT"):
        read_config(["--advertise", "shop-0"], {})
    with pytest.raises(ConfigError, match="can be reached by other machines"):
        read_config(["--peer-listen", "10.0.0.1:1"], {})


def test_flags_set_what_they_say():
    read = read_config(
        [
            "--listen=[::1]:0", "--store", "memory:", "--port-file", "/tmp/p",
            "--log-level", "debug", "--log-format=json", "--stop-grace", "1m",
            "--lease", "1500ms", "--max-wait", "30", "--recovery-grace", "0.5s",
            "--idle-evict", "1h", "--live-runs", "7", "--max-payload-bytes", "64KiB",
            "--max-steps", "1000",
        ],
        {},
    )  # fmt: skip

    assert (read.host, read.port) == ("::1", 0)
    assert (read.store, read.port_file) == ("memory:", "/tmp/p")
    assert (read.log_level, read.log_format) == ("debug", "json")
    assert read.stop_grace_s == 60
    assert read.options == Options(
        lease_s=1.5,
        heartbeat_s=0.5,
        max_wait_s=30,
        recovery_grace_s=0.5,
        idle_evict_s=3600,
        live_runs_max=7,
        limits=Limits(max_payload_bytes=65_536, max_steps=1000),
    )


@pytest.mark.parametrize("setting", config.TABLE, ids=lambda setting: setting.name)
def test_a_setting_with_a_default_accepts_it(setting):
    read = read_config(
        [f"{setting.flag}={setting.default}"] * bool(setting.default), {}
    )

    assert read == read_config([], {})


def test_the_environment_sets_the_same_and_the_flag_wins():
    environment = {"STARFLOW_LOG_LEVEL": "error", "STARFLOW_LISTEN": "127.0.0.1:1"}

    read = read_config(["--listen", "127.0.0.1:2"], environment)

    assert (read.log_level, read.port) == ("error", 2)


def test_what_others_put_into_the_environment_is_not_ours():
    environment = {
        "PATH": "/bin",
        # Kubernetes, for a service called starflow.
        "STARFLOW_PORT": "tcp://10.0.0.1:7233",
        "STARFLOW_PORT_7233_TCP_ADDR": "10.0.0.1",
        "STARFLOW_SERVICE_HOST": "10.0.0.1",
        # Clients.
        "STARFLOW_ADDRESS": "127.0.0.1:1",
    }

    assert read_config([], environment) == read_config([], {})


def test_the_port_file_can_be_set_by_the_environment():
    assert read_config([], {"STARFLOW_PORT_FILE": "p"}).port_file == "p"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lisen", "x"], "there is no option --lisen: did you mean --listen?"),
        (["serve"], "there is no option serve: --help lists"),
        (["--listen"], "--listen needs a value: HOST:PORT"),
        (["--listen", "7233"], "--listen must be HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "--listen must be HOST:PORT"),
        (["--listen", "127.0.0.1:\u0661"], "--listen must be"),
        (["--listen", "0.0.0.0:7233"], "--insecure-listen-anywhere"),
        (["--listen", "[::]:7233"], "--insecure-listen-anywhere"),
        (["--listen", "starflow.example:7233"], "neither TLS nor credentials"),
        (["--lease", "soon"], "--lease must be a duration such as 500ms"),
        (["--lease", "-1s"], "--lease must be a duration"),
        (["--lease", "0s"], "--lease must be a duration"),
        (["--lease", "1" * 400], "--lease must be a duration"),
        (["--heartbeat", "15s"], "--heartbeat must be shorter than --lease"),
        (["--log-level", "loud"], "--log-level must be one of debug, info"),
        (["--live-runs", "0"], "--live-runs must be a number from 1"),
        (["--max-payload-bytes", "2MiB"], "--max-payload-bytes must be a number"),
        (["--store", "a\nb"], "--store must be a printable text, not 'a\\nb'"),
        (["--insecure-listen-anywhere=perhaps"], "must be true or false"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line_with_the_fix(arguments, complaint):
    with pytest.raises(ConfigError) as caught:
        read_config(arguments, {})

    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_unknown_or_bad_variable_is_refused_under_its_name():
    with pytest.raises(ConfigError, match="did you mean STARFLOW_LISTEN"):
        read_config([], {"STARFLOW_LISTN": "x"})
    with pytest.raises(ConfigError, match="STARFLOW_LEASE must be a duration"):
        read_config([], {"STARFLOW_LEASE": "x"})


@pytest.mark.parametrize("listen", ["127.8.8.8:1", "localhost:1", "[::1]:1"])
def test_loopback_needs_no_override(listen):
    assert read_config(["--listen", listen], {}).port == 1


def test_other_addresses_can_be_had_by_insisting():
    read = read_config(["--insecure-listen-anywhere", "--listen", "0.0.0.0:1"], {})

    assert (read.host, read.port) == ("0.0.0.0", 1)


def test_help_names_every_setting_with_its_default():
    with pytest.raises(HelpRequest) as caught:
        read_config(["--lease", "nonsense", "--help"], {})

    for setting in config.TABLE:
        assert f"  {setting.flag} " in str(caught.value)
        assert setting.default in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) <= 100


def test_the_version_can_be_asked_for():
    with pytest.raises(HelpRequest, match=r"^\d+\.\d+\.\d+$"):
        read_config(["--version"], {})
