"""Where a store in Redis is, as its URL says.

One server is ``redis://USER:PASSWORD@HOST:PORT/DATABASE``, ``rediss://`` with TLS, or
``unix://PATH``.  Several, which may take over from each other, are named by some of
them::

    redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/NAME?db=0
    redis+cluster://USER:PASSWORD@HOST:6379,HOST:6379

and likewise with ``rediss+``.  Of Sentinels, HOST is where they are, NAME the primary
that they watch; user and password are those of Redis, and the Sentinels' own, if they
have some, the options ``sentinel_username`` and ``sentinel_password``.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from starflow_backends.redis_layout import PARTITIONS_MAX
from starflow_backends.redis_wire import library_options
from starflow_backends.urls import shown_url

# How long an owner that is silent keeps its partitions.
LEASE_MS = 5_000
# Options of the library that make sense here; ours are in `Address`.
_LIBRARY_OPTIONS = re.compile(r"db|socket_connect_timeout|client_name|ssl_\w+")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SCHEME = re.compile(r"(redis|rediss|unix)(?:\+(sentinel|cluster))?")
_SENTINEL_PORT = 26379


class Node(NamedTuple):
    """A server of Redis; of one on a socket the host is its path, and the port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return f"unix://{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is, as its URL says."""

    # Without the password, for people to read.
    shown: str
    # "" for one server, or "sentinel" or "cluster".
    kind: str
    # The server; or some of the Sentinels, or of the servers of the cluster.
    seeds: list[Node]
    # The primary that Sentinels watch.
    primary: str
    # What connections of the library are made of, besides the node.
    library: dict[str, Any] = field(repr=False)
    # The same for Sentinels.
    sentinel: dict[str, Any] = field(repr=False)
    prefix: str
    # None: as many as there are.
    partitions: int | None
    lease_ms: int

    def options(self, node: Node) -> dict[str, Any]:
        """Return what a connection to *node* is made of."""
        return {**self.library, **_place(node)}

    def sentinel_options(self, node: Node) -> dict[str, Any]:
        """Return what a connection to the Sentinel *node* is made of."""
        return {**self.sentinel, **_place(node)}


def _place(node: Node) -> dict[str, Any]:
    return {"host": node.host, "port": node.port} if node.port else {"path": node.host}


def read_url(url: str) -> Address:
    """
    Return what *url* says.

    Raises:
        ValueError: It names no Redis, or says something that is not known.
    """
    try:
        return _read(url, shown_url(url))
    except ValueError as error:
        raise ValueError(f"{shown_url(url)!r} names no Redis: {error}") from None


def _read(url: str, shown: str) -> Address:
    split = urlsplit(url)
    match = _SCHEME.fullmatch(split.scheme)
    if match is None or (match[1] == "unix" and match[2]):
        raise ValueError(
            "the schemes are redis, rediss and unix, and redis or rediss with"
            " +sentinel or +cluster"
        )
    scheme, kind = match[1], match[2] or ""
    options = dict(parse_qsl(split.query, strict_parsing=bool(split.query)))
    own_sentinel = [options.pop(name, "") for name in _SENTINEL_OPTIONS]
    if any(own_sentinel) and kind != "sentinel":
        raise ValueError("sentinel_username and _password are for redis+sentinel://")
    prefix = _prefix(options.pop("prefix", "main"))
    partitions = _number(options, "partitions", 1, PARTITIONS_MAX)
    lease_ms = _number(options, "lease_ms", 200, 600_000) or LEASE_MS
    for name in options:
        if not _LIBRARY_OPTIONS.fullmatch(name):
            raise ValueError(f"there is no option {name}")
    user, _, hosts = split.netloc.rpartition("@")
    seeds, primary, path = _READERS[kind](split, hosts, options)
    library = _library(scheme, user, path, options)
    options.pop("db", None)
    return Address(
        shown=shown,
        kind=kind,
        seeds=seeds,
        primary=primary,
        library=library,
        sentinel=_library(scheme, ":".join(map(quote, own_sentinel)), "/", options),
        prefix=prefix,
        partitions=partitions,
        lease_ms=lease_ms,
    )


_Parts = tuple[list[Node], str, str]


def _read_one(split: SplitResult, hosts: str, options: dict[str, str]) -> _Parts:
    if split.scheme == "unix":
        if not split.path.strip("/"):
            raise ValueError("the path of its socket is missing, as in unix:///PATH")
        return [Node(split.path, 0)], "", split.path
    if "," in hosts:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    _check_database(split.path)
    return [_node(hosts, 6379)], "", split.path


def _read_sentinels(split: SplitResult, hosts: str, options: dict[str, str]) -> _Parts:
    name = split.path.strip("/")
    if not name or "/" in name:
        raise ValueError(
            "the name of the primary is missing, as in redis+sentinel://HOST/NAME"
        )
    seeds = [_node(host, _SENTINEL_PORT) for host in hosts.split(",")]
    return seeds, name, f"/{options.get('db', '0')}"


def _read_cluster(split: SplitResult, hosts: str, options: dict[str, str]) -> _Parts:
    if split.path.strip("/") not in ("", "0") or options.get("db", "0") != "0":
        raise ValueError("a cluster has no databases but 0")
    return [_node(host, 6379) for host in hosts.split(",")], "", "/"


_READERS = {"": _read_one, "sentinel": _read_sentinels, "cluster": _read_cluster}


def _library(
    scheme: str, user: str, path: str, options: dict[str, str]
) -> dict[str, Any]:
    at = f"{user}@" if user.strip(":") else ""
    host = "" if scheme == "unix" else "host"
    found = library_options(f"{scheme}://{at}{host}{path}?{urlencode(options)}")
    return {k: v for k, v in found.items() if k not in ("host", "port", "path")}


def _node(text: str, port: int) -> Node:
    host = urlsplit(f"//{text}")
    if not host.hostname:
        raise ValueError("the host is missing, as in redis://HOST:6379")
    return Node(host.hostname, host.port or port)


def _check_database(path: str) -> None:
    if not re.fullmatch(r"/?[0-9]*", path):
        raise ValueError(f"{path!r} is not the number of a database, as in /0")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("prefix is 1 to 64 of A-Z a-z 0-9 _ . -")
    return text


def _number(options: dict[str, str], name: str, low: int, high: int) -> int | None:
    text = options.pop(name, None)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ValueError(f"{name} is a number from {low} to {high}")
    return int(text)
