"""The benchmarks of long-lived connections: WebSockets, line protocols, events, publish/subscribe. See wsload.c for the load
and live.c for what reeve does."""
import os, statistics, subprocess, time

import peers
from measure import (Client, Cost, ask_for, close_all, get, ms, pss_bytes, run_wsload, show_costs, table, unsettled,
                     within_descriptors)
from peers import HERE, Missing

CONNECTIONS = 64
WEBSOCKETS = ("reeve, live", "libwebsockets", "ws (node)", "websockets (python)")
LINES = ("reeve, live", "chatloop")


# ---- CPU a message ----


def take_turns(bench, servers, what, mode, *options):
    """As measure.take_turns; also the Messages of each server."""
    costs, seen = ({server.name: kind() for server in servers} for kind in (Cost, list))
    for _ in range(bench.rounds):
        for server in servers:
            load, ns = run_wsload(bench.folder, server, what, mode, "-t", bench.seconds, *options)
            costs[server.name].add(load, ns)
            seen[server.name].append(load)
    return costs, seen


def echo_table(bench, title, names, what, mode, base_name, *, size, depth=1, most=None):
    servers = bench.yard.having(what, *names)
    print(f"{title}:")
    costs, _ = take_turns(bench, servers, what, mode, "-c", CONNECTIONS, "-s", size, "-d", depth)
    show_costs(bench, title, costs, base_name, most, unit="msg")


def websocket(bench):
    for title, names, options in (("64 bytes, one at a time", WEBSOCKETS, {"size": 64}),
                                  ("64 bytes, 16 under way", WEBSOCKETS[:3], {"size": 64, "depth": 16}),
                                  ("16 KB", WEBSOCKETS[:3], {"size": 16 << 10})):
        echo_table(bench, f"WebSocket echo, {title}", names, "echo", "echo", "libwebsockets", most=1.0, **options)


def chat(bench):
    for title, depth in (("one at a time", 1), ("16 under way", 16)):
        echo_table(bench, f"lines of 64 bytes sent back, {title}", LINES, "chat", "chat", "chatloop", size=64, depth=depth)


def broadcast(bench):
    count = within_descriptors(1000 if bench.is_quick else 5000)
    title = f"128 bytes to {count} WebSockets"
    servers = bench.yard.having("listen", *WEBSOCKETS[:3])
    print(f"{title}; a message is one that has arrived:")
    costs, seen = take_turns(bench, servers, "listen", "broadcast", "-c", count, "-s", 128, "-p", "/publish")
    show_costs(bench, title, costs, "libwebsockets", 1.0, unit="msg")
    print("  from sending to the last arrival, ms (median): "
          + ", ".join(f"{name} {ms(statistics.median(load.median for load in loads))}" for name, loads in seen.items()))


# ---- memory ----

FRAME = b"\x81\x02hi"  # as a server sends it; a client masks it:
MASKED = b"\x81\x82\x01\x02\x03\x04" + bytes([ord("h") ^ 1, ord("i") ^ 2])
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def receive(client, is_complete):
    got = b""
    while not is_complete(got):
        piece = client.socket.recv(65536)
        if not piece:
            raise ConnectionError("the connection ended")
        got += piece
    return got


def exchange(client, question, answer):
    client.send(question)
    got = receive(client, lambda got: len(got) >= len(answer))
    if got != answer:
        raise ConnectionError(f"{got[:40]!r} instead of {answer!r}")


class Kind:
    """How connections of one kind are opened, and how it is seen that they still work."""

    headers = ()

    def open(self, url):
        client = Client(url)
        client.send(ask_for(url, *self.headers))
        receive(client, lambda got: got.endswith(b"\r\n\r\n"))
        return client

    def check(self, server, clients):
        for client in clients:
            self.ask(client, server)


class Kept(Kind):
    def open(self, url):
        client = Client(url)
        client.url = url
        self.ask(client, None)
        return client

    def ask(self, client, server):
        client.send(ask_for(client.url))
        client.answer()


class Lines(Kind):
    def open(self, url):
        client = Client(url)
        self.ask(client, None)
        return client

    def ask(self, client, server):
        exchange(client, b"hello\n", b"hello\n")


class WebSocket(Kind):
    headers = UPGRADE

    def open(self, url):
        client = super().open(url)
        self.ask(client, None)
        return client

    def ask(self, client, server):
        exchange(client, MASKED, FRAME)


class Events(Kind):
    def check(self, server, clients):
        get(server.urls["tell"])
        for client in clients:
            receive(client, lambda got: b"data: news" in got or b"data:news" in got)


# Name, starter, what it serves, kind, bar, goal.
KINDS = [
    ("reeve: HTTP, kept alive", peers.start_live, "hello", Kept, 1024, ""),
    ("reeve: chat, callbacks", peers.start_live, "chat", Lines, 1024, ""),
    ("reeve: WebSocket, callbacks", peers.start_live, "echo", WebSocket, 12 << 10, ", goal 1024"),
    ("reeve: WebSocket, coroutine", peers.start_live, "coroutine", WebSocket, 12 << 10, ""),
    ("reeve: Server-Sent Events", peers.start_live, "events", Events, 12 << 10, ""),
    ("libwebsockets", peers.start_lws, "echo", WebSocket, None, ""),
    ("ws (node)", peers.start_node, "echo", WebSocket, None, ""),
]


def cost_of(kind, server, what, count):
    """Bytes a connection, all of which must still work afterwards."""
    url = server.urls[what]
    close_all([kind.open(url) for _ in range(32)])
    time.sleep(0.3)
    before, clients = pss_bytes(server.pids()), []
    try:
        for _ in range(count):
            clients.append(kind.open(url))
        time.sleep(0.5)
        grew = pss_bytes(server.pids()) - before
        early = unsettled(clients)
        if early:
            raise ConnectionError(f"{early} of them said something, or ended")
        kind.check(server, clients)
        return grew / count
    finally:
        close_all(clients)


def idle_of_each_kind(bench):
    count, rows = within_descriptors(1000 if bench.is_quick else 10000), []
    peers_count = min(count, 2000)  # libwebsockets' loop takes minutes to get more
    print(f"memory of an idle connection of each kind, each in a server of its own ({count} of them, of the peers"
          f" {peers_count}):")
    for number, (name, start, what, kind, most, goal) in enumerate(KINDS):
        try:
            server = start(bench.yard.subfolder(f"idle-{number}"), bench.yard.www)
        except Missing as why:
            if most:
                raise
            print(f"  without {name}: {why}")
            continue
        try:
            size = cost_of(kind(), server, what, count if most else peers_count)
            rows.append([name, f"{size:.0f}", bench.bar(f"bytes, {name}", size, most) + goal if most else ""])
        except OSError as error:
            rows.append([name, "-", f"no figure: {error}"])
            if most:
                bench.fail(f"idle: {name}: {error}")
        finally:
            server.stop()
    table(["connection", "bytes", "bar"], rows)


# ---- publish/subscribe ----


def figures(text):
    return [line.split("\t") for line in text.splitlines()]


def pubsub(bench):
    print("publish/subscribe, 104 bytes; where there are two workers, each has a CPU if there are two:")
    for workers, path in ((1, "cost"), (2, "others")):
        server = peers.start_pubsub(bench.yard.subfolder(f"pubsub-{workers}"), workers)
        try:
            table([f"reeve, {workers} worker(s)", "", ""], figures(get(server.urls["hello"] + path).decode()))
        finally:
            server.stop()
    try:
        server = peers.start_redis(bench.yard.subfolder("redis"))
    except Missing as why:
        print(f"  without redis: {why}")
        return
    try:
        binary = peers.compile_c(os.path.join(bench.folder, "redis-client"), f"{HERE}/redis.c")
        done = subprocess.run([binary, server.socket, str(server.process.pid)], capture_output=True, text=True,
                              preexec_fn=peers.on_all_cpus)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        table(["redis, a Unix socket", "", ""], figures(done.stdout))
    finally:
        server.stop()


ALL = {
    "websocket": (websocket, "CPU a message of a WebSocket echo, beside libwebsockets and ws for Node.js"),
    "broadcast": (broadcast, "CPU a message of a broadcast to 5,000 WebSockets, and when the last one has it"),
    "chat": (chat, "CPU a line that is sent back, beside a bare loop"),
    "pubsub": (pubsub, "what publishing costs, and how long it takes from worker to worker, beside Redis"),
}
