"""`staleproof worker` as a process: its command line, its health, its signals, and an outage of the cache."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition
from redis import Redis

from local.conditions import wait_until
from local.kafka_broker import KafkaBroker
from local.loopback import free_port
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof.cli.program import program
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline.worker import health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.redis

RULES = """
version: 1
rules:
  - {name: told, when: {source: application, entity: product}, tags: ["product:{id}"]}
  - {name: logged, when: {source: kafka, table: products}, tags: ["product:{id}"]}
"""


def message(number: int) -> str:
    told = {"staleproof": "invalidate", "schema": 1, "id": f"e{number}", "tags": [f"t{number}"], "keys": []}
    return json.dumps(told)


class Stand:
    """A server with a stream, and workers that read it."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.stream = f"changes-{name}"
        self.client = Redis.from_url(url)
        self.port = free_port()
        self._workers: list[subprocess.Popen[str]] = []

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "STALEPROOF_CACHE_URL": self.url,
            "STALEPROOF_NAMESPACE": self.name,
            "STALEPROOF_REGION": "eu-west-1",
            "STALEPROOF_RULES_TEXT": RULES,
            "STALEPROOF_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/queue",
            "STALEPROOF_STREAM": self.stream,
            "STALEPROOF_STREAM_IDLE": "200ms",
            "POWERTOOLS_TRACE_DISABLED": "true",
            **more,
        }

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "staleproof.cli", "worker", "--health", f"127.0.0.1:{self.port}"]
        made = subprocess.Popen(
            [*command, *(arguments or ("--source", "redis-stream"))],
            env=self.environ(**environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._workers.append(made)
        return made

    def health(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask; 0 for nobody there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def ready(self) -> dict[str, Any]:
        wait_until(lambda: self.health("/ready")[0] == 200, "the worker is ready", timeout=30)
        return self.health("/ready")[1]

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.client.xadd(self.stream, {"m": message(number)})

    def applied(self) -> set[str]:
        provider = RedisProvider.from_url(self.url, namespace=self.name)
        try:
            page = provider.journal("", 100_000)
        finally:
            provider.close()
        return {each.id for _, each in page.records if each}

    def close(self) -> None:
        for each in self._workers:
            each.kill()
            each.communicate()
        self.client.close()


@pytest.fixture
def stand(valkey_url: str, fresh_namespace: str) -> Iterator[Stand]:
    made = Stand(valkey_url, fresh_namespace)
    yield made
    made.close()


@pytest.mark.slow
def test_a_worker_ends_in_order(stand: Stand) -> None:
    """SIGTERM: what is in hand is acknowledged, the group is left, the summary is printed, and the exit code is 0."""
    stand.add(*range(50))
    worker = stand.start("--source", "redis-stream", "--json")
    wait_until(lambda: len(stand.applied()) >= 50, "all is applied", timeout=30)
    told = stand.ready()
    assert (told["source"], told["error"], told["dead_lettered"]) == ("redis-stream", None, 0)

    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=20)

    assert worker.returncode == 0
    assert json.loads(out.splitlines()[-1])["applied"] == 50
    (group,) = stand.client.xinfo_groups(stand.stream)
    assert (group["pending"], group["consumers"]) == (0, 0)


@pytest.mark.slow
def test_health_tells_whether_to_restart_or_to_wait(fresh_namespace: str) -> None:
    """While the cache is away a worker lives and is not ready; it loses nothing, and goes on by itself."""
    with Supervisor() as owner:
        streams, cache = Valkey(owner, "valkey-streams"), Valkey(owner, "valkey-cache")
        streams.start()
        cache.start()
        stand = Stand(streams.url, fresh_namespace)
        try:
            worker = stand.start(STALEPROOF_CACHE_URL=cache.url, STALEPROOF_STREAM_URL=streams.url)
            stand.ready()
            cache.kill()
            stand.add(1, 2)
            wait_until(lambda: stand.health("/ready")[0] == 503, "it is not ready", timeout=30)
            assert stand.health("/ready")[1]["error"] == "ProviderUnavailableError"
            assert stand.health("/live")[0] == 200
            assert stand.health("/other")[0] == 404
            assert stand.client.xpending(stand.stream, "staleproof")["pending"] >= 1
            cache.start()
            stand.ready()
            wait_until(lambda: stand.health("/ready")[1].get("applied") == 2, "both are applied", timeout=30)
            assert worker.poll() is None
        finally:
            stand.close()


@pytest.mark.slow
def test_a_killed_worker_is_taken_over(stand: Stand) -> None:
    """SIGKILL in the middle: the next one does what it left, and more than once does no harm."""
    stand.add(*range(200))
    first = stand.start("--source", "redis-stream", "--batch", "5")
    wait_until(lambda: len(stand.applied()) > 20, "it works", timeout=30)
    first.kill()
    first.communicate()
    second = stand.start("--source", "redis-stream", "--until-idle", "--health", "none")
    wait_until(lambda: {f"e{n}" for n in range(200)} <= stand.applied(), "all is applied", timeout=30)
    wait_until(lambda: second.poll() is not None, "it ends", timeout=30)

    third = stand.start("--source", "redis-stream", "--until-idle", "--health", "none")
    third.communicate(timeout=30)
    assert stand.client.xpending(stand.stream, "staleproof")["pending"] == 0


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--source", "kafka"], {}, "--source kafka needs --topic"),
        (["--source", "dynamodb-streams"], {}, "needs --table or --stream-arn"),
        (["--source", "redis-stream", "--health", "nowhere"], {}, "write host:port"),
        (["--source", "redis-stream"], {"STALEPROOF_CACHE_URL": "memory://"}, "memory:// has no streams"),
        (["--source", "redis-stream"], {"STALEPROOF_NAMESPACE": ""}, "STALEPROOF_NAMESPACE is not set"),
        (["--source", "redis-stream", "--stream-url", "ftp://u:secret@h"], {}, "the scheme must be one of"),
        (["--source", "cassandra"], {}, "is not one of"),
        (
            ["--source", "redis-stream", "--topic", "t"],
            {},
            "--topic is of --source kafka, not of redis-stream",
        ),
    ],
)
def test_what_is_configured_wrongly_is_told(
    stand: Stand, arguments: list[str], environ: dict[str, str], told: str
) -> None:
    """In a line, with exit code 2, and without a secret."""
    ran = CliRunner().invoke(program, ["worker", *arguments], env=stand.environ(**environ))

    assert ran.exit_code == 2
    assert told in ran.output
    assert "secret" not in ran.output


def test_the_help_has_examples() -> None:
    """Whoever types --help can copy a line for each source."""
    text = CliRunner().invoke(program, ["worker", "--help"]).output

    for source in ("redis-stream", "kafka", "dynamodb-streams"):
        assert f"staleproof worker --source {source}" in text
    assert "Exit code 0" in text


# --- Kafka ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with Supervisor() as owner:
        made = KafkaBroker(owner)
        made.start()
        yield made


@pytest.mark.slow
def test_kafka_offsets_are_committed_after_applying(
    stand: Stand, broker: KafkaBroker, tmp_path: Path
) -> None:
    """A worker that ended in order leaves nothing to repeat; the next one of its group goes on behind it."""
    topic = f"products-{stand.name}"
    producer: Any = KafkaProducer(bootstrap_servers=[broker.server])
    for number in range(30):
        producer.send(topic, key=str(number).encode(), value=message(number).encode())
    producer.close()
    options = tmp_path / "kafka.json"
    options.write_text('{"client_id": "mine"}')
    told = ["--source", "kafka", "--bootstrap", broker.server, "--topic", topic, "--group", stand.name]
    arguments = [*told, "--kafka-config", str(options), "--health", "none", "--json"]
    worker = stand.start(*arguments)
    wait_until(lambda: len(stand.applied()) >= 30, "all is applied", timeout=30)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=20)

    assert (worker.returncode, json.loads(out.splitlines()[-1])["applied"]) == (0, 30)
    reader = KafkaConsumer(bootstrap_servers=[broker.server], group_id=stand.name, enable_auto_commit=False)
    try:
        assert reader.committed(TopicPartition(topic, 0)) == 30
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [("[", "write a JSON object"), ("[]", "no JSON object"), ('{"group_id": "x"}', "is set by the worker")],
)
def test_wrong_kafka_options_are_told(
    stand: Stand, broker: KafkaBroker, tmp_path: Path, content: str, told: str
) -> None:
    """The file, or the option, is named."""
    options = tmp_path / "kafka.json"
    options.write_text(content)
    arguments = ["--source", "kafka", "--bootstrap", broker.server, "--topic", "t", "--health", "none"]

    ran = CliRunner().invoke(
        program, ["worker", *arguments, "--kafka-config", str(options)], env=stand.environ()
    )

    assert ran.exit_code == 2
    assert told in ran.output


def well() -> health.Health:
    return health.Health(True, True, {})


def test_slow_questions_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many drip, so many threads at most, each for so long; then whoever asks is answered."""
    monkeypatch.setattr(health, "PATIENCE", 0.3)
    before = threading.active_count()
    with health.HealthServer(well, "127.0.0.1", 0) as server:
        host, port = server.address.split(":")
        dripping = [socket.create_connection((host, int(port))) for _ in range(3 * health.MOST)]
        for each in dripping:
            each.sendall(b"GET /live HTTP/1.1\r\nX-Slow: ")
        assert threading.active_count() - before <= 2 * health.MOST + 1

        def drip() -> bool:
            for each in dripping:
                try:
                    each.sendall(b"a")
                except OSError:
                    continue
            return threading.active_count() - before <= 1

        wait_until(drip, "all of them are cut off")
        with urllib.request.urlopen(f"http://{server.address}/live", timeout=10) as answer:
            assert (answer.status, answer.headers["Server"].strip()) == (200, "staleproof")
    for each in dripping:
        each.close()


def test_clients_that_go_away_fill_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    """A reset in the middle of a question, and what is no HTTP, are no news."""
    with health.HealthServer(well, "127.0.0.1", 0) as server:
        host, port = server.address.split(":")
        for sent in (
            b"GET /li",
            b"\x16\x03\x01\r\n\r\n",
            b"GET /live HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        ):
            client = socket.create_connection((host, int(port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(sent)
            client.close()
        with urllib.request.urlopen(f"http://{server.address}/ready", timeout=10) as answer:
            assert answer.status == 200
    assert capfd.readouterr() == ("", "")


def test_health_listens_on_ipv6_too() -> None:
    """In brackets, as in a URL."""
    try:
        server = health.HealthServer(well, "[::1]", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server, urllib.request.urlopen(f"http://{server.address}/live", timeout=10) as answer:
        assert answer.status == 200
