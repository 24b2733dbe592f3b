"""What can be set when a server is started: by flag, or by environment variable.

One table says all: every setting has a flag ``--some-name`` and a variable
``STARFLOW_SOME_NAME``, and the flag wins.  What is not in the table is refused, so that
a typing error does not start a server with other settings than were meant.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starflow_backends import failpoints
from starflow_service import __version__
from starflow_service.logs import LEVELS
from starflow_service.retention_text import read_retention
from starflow_service.runtime.options import Options
from starflow_service.starlark.limits import Limits

_PREFIX: Final = "STARFLOW_"
# Not ours: what Kubernetes sets in every container if a service is called starflow, and
# what clients read.
_FOREIGN: Final = re.compile(
    r"STARFLOW_((SERVICE|PORT)(_(?!FILE$).*)?|ADDRESS|NAMESPACE)"
)


class ConfigError(Exception):
    """A setting cannot be what it was given as; the message is for the command line."""


class HelpRequest(BaseException):
    """The command line asks for text and not for a server; no error."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one server."""

    host: str
    port: int
    store: str
    # Where other servers of a shared store open links, and what they are told; empty:
    # the same.
    peer_host: str
    peer_port: int
    advertise: str
    # The value of a `starflow_backends.Durability`; empty: what is usual for the store.
    durability: str
    # Empty: none.
    port_file: str
    log_level: str
    # console or json; empty: console on a terminal, else json.
    log_format: str
    stop_grace_s: float
    # Where Prometheus may ask; None: nowhere.
    metrics: tuple[str, int] | None
    # What `starflow_backends.failpoints.arm` takes; empty: nothing.
    failpoint: str
    options: Options

    def check_advertised(self) -> None:
        """
        Make sure that other servers of the store can be told where this one is.

        Raises:
            ConfigError: It listens everywhere, and that is no address.
        """
        if self.peer_host in ("0.0.0.0", "::") and not self.advertise:
            raise ConfigError(
                "--advertise HOST:PORT is needed, the address of this server for the"
                " others of the store, because it listens on all addresses"
            )


# How values are read: each takes the text, and says what it wanted if it is none


def _text(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("a printable text")
    return value


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|)")
_UNIT_S = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(value: str) -> float:
    match = _DURATION.fullmatch(value)
    if match is None or not 0 < (seconds := float(match[1]) * _UNIT_S[match[2]]) < 1e8:
        raise ValueError("a duration such as 500ms, 15s, 1h, or a number of seconds")
    return seconds


def _nanoseconds(value: str) -> int:
    return int(_seconds(value) * 1e9)


_SIZE = re.compile(r"([0-9]{1,15})(KiB|MiB|GiB|)")
_UNIT_BYTES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _between(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        match = _SIZE.fullmatch(value)
        if match is None or not low <= int(match[1]) * _UNIT_BYTES[match[2]] <= high:
            raise ValueError(f"a number from {low} to {high}; KiB, MiB, GiB are known")
        return int(match[1]) * _UNIT_BYTES[match[2]]

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return read


def _switch(value: str) -> bool:
    if value.lower() not in ("1", "true", "yes", "0", "false", "no"):
        raise ValueError("true or false")
    return value.lower() in ("1", "true", "yes")


def _failpoint(value: str) -> str:
    try:
        failpoints.check(value)
    except ValueError as error:
        raise ValueError(f"a failpoint ({error})") from None
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    read: Callable[[str], Any]
    # As it would be typed.
    default: str
    words: str
    # The attribute of `Options` or of `Limits` that it sets, if it is one of theirs.
    option: str = ""
    limit: str = ""

    @property
    def flag(self) -> str:
        """The flag, such as ``--log-level``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable, such as ``STARFLOW_LOG_LEVEL``."""
        return _PREFIX + self.name.upper().replace("-", "_")


_DEFAULTS = Options()
_LIMITS = Limits()


def _duration(name: str, option: str, words: str) -> Setting:
    default = f"{getattr(_DEFAULTS, option):g}s"
    return Setting(name, _seconds, default, words, option=option)


def _count(name: str, option: str, words: str, high: int) -> Setting:
    default = str(getattr(_DEFAULTS, option))
    return Setting(name, _between(1, high), default, words, option=option)


def _limit(name: str, limit: str, words: str, high: int) -> Setting:
    default = str(getattr(_LIMITS, limit))
    return Setting(name, _between(1, high), default, words, limit=limit)


def _limit_time(name: str, limit: str, words: str) -> Setting:
    default = f"{getattr(_LIMITS, limit) // 10**9}s"
    return Setting(name, _nanoseconds, default, words, limit=limit)


TABLE: Final = (
    Setting("listen", _text, "127.0.0.1:7233", "HOST:PORT to serve on; port 0: any"),
    Setting(
        "insecure-listen-anywhere",
        _switch,
        "false",
        "let other machines reach --listen, without TLS and credentials",
    ),
    Setting(
        "store",
        _text,
        "sqlite:starflow.db",
        "where runs are: sqlite:PATH, redis://HOST, memory:",
    ),
    Setting(
        "peer-listen",
        _text,
        "",
        "HOST:PORT for other servers; if not set, any port beside --listen",
    ),
    Setting(
        "advertise",
        _text,
        "",
        "what other servers are told; if not set, --peer-listen",
    ),
    Setting(
        "durability",
        _one_of("disk", "process", "memory"),
        "",
        "the least that it promises: disk, process or memory",
    ),
    Setting("metrics-listen", _text, "", "HOST:PORT for Prometheus; not set: none"),
    Setting("port-file", _text, "", "write the port to this file once it is served"),
    Setting("log-level", _one_of(*LEVELS), "info", f"one of {', '.join(LEVELS)}"),
    Setting(
        "log-format",
        _one_of("console", "json"),
        "",
        "console or json; if not set, console on a terminal",
    ),
    Setting("stop-grace", _seconds, "10s", "how long calls may take after SIGTERM"),
    _duration("lease", "lease_s", "how long a silent worker keeps its tasks"),
    Setting(
        "heartbeat",
        _seconds,
        "",
        "how often workers are to show life; if not set, a third of --lease",
    ),
    _duration(
        "attempt-timeout",
        "attempt_timeout_s",
        "the longest attempt, unless the function says",
    ),
    _duration("max-wait", "max_wait_s", "the longest that a call may wait"),
    _duration(
        "recovery-grace",
        "recovery_grace_s",
        "how long a new server leaves calls to those who have them",
    ),
    _duration("idle-evict", "idle_evict_s", "how long an idle run stays in memory"),
    _count("live-runs", "live_runs_max", "the most runs in memory", 10**7),
    _count("max-poll-tasks", "max_poll_tasks", "the most tasks in one answer", 1000),
    _duration("slice", "slice_s", "how long a script computes before others may"),
    _duration(
        "crash-grace",
        "crash_grace_s",
        "how long a new server leaves a run alone that two died of",
    ),
    Setting(
        "retention",
        read_retention,
        "",
        "how long finished runs are kept: 30d,failed=90d; else for ever",
        option="retention",
    ),
    _duration("retention-every", "retention_every_s", "how often those are looked for"),
    _duration(
        "tombstone", "tombstone_s", "how long the id of a deleted run is refused"
    ),
    _limit("max-source-bytes", "max_source_bytes", "the longest script", 256 << 10),
    _limit(
        "max-source-tokens",
        "max_source_tokens",
        "its tokens",
        _LIMITS.max_source_tokens,
    ),
    _limit(
        "max-source-nesting",
        "max_source_nesting",
        "brackets in brackets, or blocks in blocks",
        _LIMITS.max_source_nesting,
    ),
    _limit(
        "max-source-nodes",
        "max_source_nodes",
        "nodes of its syntax tree",
        _LIMITS.max_source_nodes,
    ),
    _limit("max-bundle-bytes", "max_bundle_bytes", "the largest bundle", 1 << 20),
    _limit("max-bundle-files", "max_bundle_files", "the most files of a bundle", 1000),
    _limit("max-steps", "max_steps", "steps of a script between two waits", 10**12),
    _limit_time(
        "max-cpu-time", "max_cpu_time_ns", "CPU time of a script between two waits"
    ),
    _limit(
        "max-allocated-bytes",
        "max_allocated_bytes",
        "bytes that a script may allocate until it first waits",
        1 << 40,
    ),
    _limit(
        "bytes-per-event",
        "bytes_per_event",
        "bytes that it may allocate for each event more",
        1 << 30,
    ),
    _limit("max-string", "max_string", "characters of one string", 10**8),
    _limit(
        "max-elements", "max_elements", "elements of one list, dict or tuple", 10**7
    ),
    # These follow from how deep CPython recurses and how it turns numbers into text, so
    # they can only be lowered.
    _limit("max-int-bits", "max_int_bits", "bits of one integer", 65_536),
    _limit("max-nesting", "max_nesting", "values in values in values", 200),
    _limit("max-call-depth", "max_call_depth", "calls in calls in calls", 200),
    _limit("max-print-bytes", "max_print_bytes", "what a script prints", 1 << 30),
    _limit("max-message", "max_message", "characters of an error's message", 65_536),
    _limit("max-payload-bytes", "max_payload_bytes", "the largest payload", 1 << 20),
    _limit("max-payload-depth", "max_payload_depth", "its deepest nesting", 100),
    _limit("max-payload-digits", "max_payload_digits", "its longest integer", 19_000),
    _limit("max-events", "max_events", "the most events of a run", 10**6),
    _limit("max-open-calls", "max_open_calls", "the most open calls of a run", 10**5),
    _limit("max-branches", "max_branches", "the most open branches of a run", 10**5),
    _limit_time("max-sleep", "max_sleep_ns", "the longest sleep"),
    Setting(
        "failpoint",
        _failpoint,
        "",
        "for tests: POINT:kill|error|sleep(MS)[:NTH] and more after commas",
    ),
    Setting("allow-failpoints", _switch, "false", "for tests: take --failpoint"),
)
_BY_FLAG: Final = {setting.flag: setting for setting in TABLE}
_BY_VARIABLE: Final = {setting.variable: setting for setting in TABLE}


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """
    Return the settings.

    Raises:
        ConfigError: One of them is unknown, or cannot be what it is.
        HelpRequest: ``--help`` or ``--version`` was among the arguments.
    """
    given = _from_environment(environment) | _from_arguments(arguments)
    values: dict[str, Any] = {
        setting.name: _read(setting, *given[setting.name])
        if setting.name in given
        else setting.default and setting.read(setting.default)
        for setting in TABLE
    }
    host, port = _address(values["listen"], anywhere=values["insecure-listen-anywhere"])
    peers = values["peer-listen"] or f"{values['listen'].rpartition(':')[0]}:0"
    peer_host, peer_port = _address(
        peers, anywhere=values["insecure-listen-anywhere"], flag="--peer-listen"
    )
    metrics = values["metrics-listen"] and _address(
        values["metrics-listen"],
        anywhere=values["insecure-listen-anywhere"],
        flag="--metrics-listen",
    )
    if values["advertise"]:
        _parts("--advertise", values["advertise"])
    options = _options(values)
    if values["failpoint"] and not values["allow-failpoints"]:
        raise ConfigError(
            "--failpoint makes this server fail on purpose: leave it out, or add"
            " --allow-failpoints if this is a test"
        )
    if options.heartbeat_s >= options.lease_s:
        raise ConfigError(
            "--heartbeat must be shorter than --lease: a third of it, say"
        )
    return Config(
        host=host,
        port=port,
        store=values["store"],
        peer_host=peer_host,
        peer_port=peer_port,
        advertise=values["advertise"],
        durability=values["durability"],
        port_file=values["port-file"],
        log_level=values["log-level"],
        log_format=values["log-format"],
        stop_grace_s=values["stop-grace"],
        metrics=metrics or None,
        failpoint=values["failpoint"],
        options=options,
    )


Given = dict[str, tuple[str, str]]  # name to source and text


def _from_environment(environment: Mapping[str, str]) -> Given:
    given = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or _FOREIGN.fullmatch(variable):
            continue
        setting = _BY_VARIABLE.get(variable)
        if setting is None:
            raise ConfigError(_unknown("environment variable", variable, _BY_VARIABLE))
        given[setting.name] = (variable, text)
    return given


def _from_arguments(arguments: Sequence[str]) -> Given:
    given = {}
    rest = list(arguments)
    while rest:
        flag, is_joined, text = rest.pop(0).partition("=")
        if flag in ("-h", "--help"):
            raise HelpRequest(help_text())
        if flag == "--version":
            raise HelpRequest(__version__)
        setting = _BY_FLAG.get(flag)
        if setting is None:
            raise ConfigError(_unknown("option", flag, _BY_FLAG))
        if not is_joined and setting.read is _switch:
            text = "true"
        elif not is_joined:
            if not rest:
                raise ConfigError(f"{flag} needs a value: {setting.words}")
            text = rest.pop(0)
        given[setting.name] = (flag, text)
    return given


def _read(setting: Setting, source: str, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        shown = ascii(text[:60])
        raise ConfigError(f"{source} must be {error}, not {shown}") from None


def _unknown(kind: str, name: str, known: Mapping[str, Setting]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]}?" if near else "--help lists what there is"
    return f"there is no {kind} {ascii(name[:60])[1:-1]}: {fix}"


def _parts(flag: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ConfigError(
            f"{flag} must be HOST:PORT, such as 127.0.0.1:7233, not {address!a}"
        )
    return host, int(port)


def _address(listen: str, *, anywhere: bool, flag: str = "--listen") -> tuple[str, int]:
    host, port = _parts(flag, listen)
    if not anywhere and not _is_loopback(host):
        raise ConfigError(
            f"{flag} {listen} can be reached by other machines, and this release has"
            " neither TLS nor credentials yet: use 127.0.0.1, or add"
            " --insecure-listen-anywhere if the network itself is trusted"
        )
    return host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _options(values: Mapping[str, Any]) -> Options:
    limits = Limits(**{s.limit: values[s.name] for s in TABLE if s.limit})
    options = {s.option: values[s.name] for s in TABLE if s.option}
    options["retention"] = values["retention"] or ()
    heartbeat_s = values["heartbeat"] or values["lease"] / 3
    return Options(**options, heartbeat_s=heartbeat_s, limits=limits)


def help_text() -> str:
    """Return what ``--help`` prints."""
    lines = [
        "usage: python -m starflow_service [--OPTION VALUE ...]",
        "",
        "Serves durable workflows over gRPC.  An option can be given as a variable of",
        "the environment, too: --log-level as STARFLOW_LOG_LEVEL.  The option wins.",
        "",
    ]
    for setting in TABLE:
        default = f" [{setting.default}]" if setting.default else ""
        lines.append(f"  {setting.flag:<27}{setting.words}{default}")
    lines += ["  --version                  print the version", ""]
    return "\n".join(lines)
