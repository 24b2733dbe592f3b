"""A real cluster of Redis, and real Sentinels, which never outlive the tests."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import PATIENCE_S, prelude
from tests.support.redis_server import RedisServer, executable, free_port

SLOTS = 16_384
_LOOK_EVERY_S = 0.005
_NODE_TIMEOUT_MS = "1500"


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    """Wait until *is_so*."""
    ends_at = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_at, f"still not: {what}"
        time.sleep(_LOOK_EVERY_S)


class RedisCluster:
    """Primaries with a third of the slots each, or with replicas as well."""

    def __init__(self, primaries: int = 3, *, with_replicas: bool = False) -> None:
        # The directory of a socket must have a short name.
        count = primaries * 2 if with_replicas else primaries
        self._places = [
            tempfile.TemporaryDirectory(prefix="sf-node-") for _ in range(count)
        ]
        self.nodes = [
            RedisServer(
                Path(place.name),
                on_tcp=True,
                cluster_enabled="yes",
                cluster_node_timeout=_NODE_TIMEOUT_MS,
                cluster_replica_validity_factor="0",
                repl_diskless_sync_delay="0",
            )
            for place in self._places
        ]
        self.primaries, self.replicas = self.nodes[:primaries], self.nodes[primaries:]

    @property
    def url(self) -> str:
        """Its URL, which names two of its nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://{hosts}"

    def start(self) -> None:
        """Start all, make them one cluster, and come back when it works."""
        for node in self.nodes:
            node.start()
        size = -(-SLOTS // len(self.primaries))
        for at, node in enumerate(self.primaries):
            last = min(SLOTS, (at + 1) * size) - 1
            node.command("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            node.command("CLUSTER", "ADDSLOTSRANGE", at * size, last)
        for node in self.nodes[1:]:
            node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            wait_for(lambda node=node: self._knows_all(node), "all nodes have met")
        for at, replica in enumerate(self.replicas):
            replica.command("CLUSTER", "REPLICATE", self.id_of(self.primaries[at]))
        for node in self.nodes:
            wait_for(lambda node=node: self.is_well(node), "the cluster is well")
        for replica in self.replicas:
            wait_for(lambda each=replica: is_synced(each), "the replicas have synced")

    def close(self) -> None:
        """See to it that all are gone."""
        for node in self.nodes:
            node.end()
        for place in self._places:
            place.cleanup()

    def id_of(self, node: RedisServer) -> str:
        """Return the name of *node* in the cluster."""
        return node.command("CLUSTER", "MYID")

    def is_well(self, node: RedisServer) -> bool:
        """Whether *node* says that all slots are served."""
        return "cluster_state:ok" in node.command("CLUSTER", "INFO")

    def primary_of(self, slot: int) -> RedisServer:
        """Return the node that says it has *slot*."""
        for node in self.nodes:
            if node.is_alive and self._has(node, slot):
                return node
        raise AssertionError(f"nobody has slot {slot}")

    def _has(self, node: RedisServer, slot: int) -> bool:
        lines = node.command("CLUSTER", "NODES").splitlines()
        (own,) = [line.split() for line in lines if "myself" in line]
        if "master" not in own[2]:
            return False
        ranges = [each.split("-") for each in own[8:] if not each.startswith("[")]
        return any(int(each[0]) <= slot <= int(each[-1]) for each in ranges)

    def _knows_all(self, node: RedisServer) -> bool:
        known = f"cluster_known_nodes:{len(self.nodes)}"
        return known in node.command("CLUSTER", "INFO")

    def move_slot(self, slot: int, target: RedisServer, *, count: int = 1000) -> None:
        """Begin to move a slot, and move at most *count* of its keys."""
        source = self.primary_of(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        for key in source.array("CLUSTER", "GETKEYSINSLOT", slot, count):
            source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)

    def end_move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Move what is left of a slot, and give it to *target*."""
        for key in source.array("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        for node in (target, source):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))


def is_synced(replica: RedisServer) -> bool:
    """Whether *replica* has a copy of its primary, and follows it."""
    return "master_link_status:up" in replica.command("INFO", "replication")


class Sentinels:
    """Sentinels that watch a primary of the name ``mymaster``."""

    def __init__(
        self,
        primary: RedisServer,
        count: int = 3,
        *,
        password: str = "",
        sentinel_password: str = "",
    ) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="sf-sentinel-")
        self.ports = [free_port() for _ in range(count)]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._primary = primary
        self._password, self._own_password = password, sentinel_password

    @property
    def hosts(self) -> str:
        """Where they are, as URLs name them."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    @property
    def url(self) -> str:
        """The URL of the primary that they watch."""
        return f"redis+sentinel://{self.hosts}/mymaster"

    def start(self) -> None:
        """Start them, and come back when they know of each other."""
        for port in self.ports:
            self._processes.append(self._launch(port))
        for port in self.ports:
            wait_for(lambda port=port: self._knows_all(port), "the Sentinels have met")

    def end(self) -> None:
        """See to it that they are gone."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._place.cleanup()

    def _launch(self, port: int) -> "subprocess.Popen[bytes]":
        place = Path(self._place.name) / str(port)
        place.mkdir()
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            "unixsocket redis.sock",
            "dir .",
            f"sentinel monitor mymaster 127.0.0.1 {self._primary.port} 2",
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 3000",
        ]
        if self._password:
            lines.append(f"sentinel auth-pass mymaster {self._password}")
        if self._own_password:
            lines += [
                f"requirepass {self._own_password}",
                f"sentinel sentinel-pass {self._own_password}",
            ]
        (place / "sentinel.conf").write_text("\n".join(lines))
        with (place / "out").open("wb") as output:
            return subprocess.Popen(
                [*prelude(), executable(), "sentinel.conf", "--sentinel"],
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def ask(self, port: int, *words: str | int) -> list[str]:
        """Carry out a command on one of them, whose answer is a list."""
        return self._server(port).array(*words)

    def command(self, port: int, *words: str | int) -> str:
        """Carry out a command on one of them."""
        return self._server(port).command(*words)

    def _server(self, port: int) -> RedisServer:
        server = RedisServer(Path(self._place.name) / str(port))
        server.password = self._own_password
        return server

    def _knows_all(self, port: int) -> bool:
        try:
            words = self.ask(port, "SENTINEL", "MASTER", "mymaster")
        except OSError:
            return False
        facts = dict(zip(words[::2], words[1::2], strict=False))
        others = facts.get("num-other-sentinels") == str(len(self.ports) - 1)
        return others and facts.get("num-slaves") != "0"
