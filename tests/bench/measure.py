"""What is measured of a server: CPU time a request, memory, latency, lost requests; and tables to show it in."""
import contextlib, json, os, re, resource, select, socket, statistics, subprocess, time
from urllib.parse import urlsplit

from peers import HERE, Missing, compile_c, program

PIPELINE = """init = function(args)
    local requests = {}
    for i = 1, %d do requests[i] = wrk.format() end
    all = table.concat(requests)
end
request = function() return all end
"""
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}


# ---- processes ----


def on_cpu_ns(pids):
    """User and system time, which schedstat has in nanoseconds."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total


def pss_bytes(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a child that just ended
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) << 10
    return total


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- wrk ----


class Load:
    """What one run of wrk saw."""

    def __init__(self, text):
        found = re.search(r"(\d+) requests in", text)
        if not found:
            raise Missing(f"wrk failed: {text.strip()[-200:]}")
        self.requests = int(found.group(1))
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.errors = sum(map(int, errors.groups())) if errors else 0
        self.refused = int(refused.group(1)) if refused else 0
        slow = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.M)
        self.p99 = float(slow.group(1)) * SECONDS[slow.group(2)] if slow else None


def start_wrk(folder, url, connections, seconds, depth=1, is_closing=False):
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if is_closing:
        command += ["-H", "Connection: close"]
    if depth > 1:
        script = os.path.join(folder, f"depth-{depth}.lua")
        with open(script, "w") as f:
            f.write(PIPELINE % depth)
        command += ["-s", script]
    return subprocess.Popen(command + [url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_wrk(*arguments, **options):
    with ending(start_wrk(*arguments, **options)) as wrk:
        return Load(wrk.communicate()[0])


# ---- a constant rate ----


class Steady:
    """What one run of steady.c saw; times in seconds."""

    def __init__(self, text):
        figures = text.split()
        if len(figures) != 7:
            raise Missing(f"steady failed: {text.strip()[-200:]}")
        self.requests, self.errors = map(int, figures[:2])
        self.p50, self.p99, self.p999, self.worst, self.late = (float(figure) / 1e6 for figure in figures[2:])


def start_steady(binary, url, rate, seconds, connections):
    parts = urlsplit(url)
    command = [binary, str(parts.port), parts.path or "/", f"{rate:.0f}", str(seconds), str(connections)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextlib.contextmanager
def ending(process):
    """Whatever happens meanwhile, it does not outlive us."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Cost:
    """What requests cost each of some servers, which took turns: a Load and the CPU time a request for each turn."""

    def __init__(self):
        self.rates, self.costs, self.lost = [], [], 0

    def add(self, load, ns):
        self.rates.append(load.rate)
        self.costs.append(ns / 1e3 / max(load.requests, 1))
        self.lost += load.errors + load.refused


def take_turns(servers, what, rounds, *, folder, **options):
    costs = {server.name: Cost() for server in servers}
    for _ in range(rounds):
        for server in servers:
            pids = server.pids()
            before = on_cpu_ns(pids)
            load = run_wrk(folder, server.urls[what], **options)
            costs[server.name].add(load, on_cpu_ns(pids) - before)
    return costs


def ratios(cost, base):
    """Turn by turn, since neighbours in time share the machine's moods."""
    return [a / b for a, b in zip(cost.costs, base.costs)]


# ---- messages ----


class Messages:
    """What one run of wsload.c saw; times in seconds, of rounds of a broadcast."""

    errors = refused = 0  # it ends at the first one

    def __init__(self, seen):
        self.requests, self.rate = seen["messages"], seen["messages"] / seen["seconds"]
        self.median, self.p99 = (seen.get(what, 0) / 1e6 for what in ("median_us", "p99_us"))


def wsload(folder):
    """Compiled once a run."""
    binary = os.path.join(folder, "wsload")
    return binary if os.path.exists(binary) else compile_c(binary, f"{HERE}/wsload.c")


def run_wsload(folder, server, what, mode, *options):
    """Messages, and the server's CPU time meanwhile, without opening and closing the connections."""
    parts, pids = urlsplit(server.urls[what]), server.pids()
    command = [wsload(folder), *map(str, options), mode, str(parts.port), parts.path]
    with ending(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True)) as client:
        said = client.stdout.readline()
        before = on_cpu_ns(pids)
        if said == "ready\n":
            client.stdin.write("go\n")
            client.stdin.flush()
            said = client.stdout.readline()
        if not said.startswith("{"):
            raise RuntimeError(f"{server.name}, {what}: {said.strip()}")
        return Messages(json.loads(said)), on_cpu_ns(pids) - before


# ---- connections of our own ----


def within_descriptors(wanted, share=1):
    """`wanted` connections, or as many as this process and the server may have, of which a share of 1/`share`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or wanted * share + 300 <= hard:
        return wanted
    print(f"(ulimit -Hn is {hard}: fewer connections than the {wanted} that were meant)")
    return (hard - 300) // share


def ask_for(url, *headers):
    parts = urlsplit(url)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
    return "\r\n".join(lines).encode()


class Client:
    """One connection, from one of several loopback addresses: one has too few ports for what is tried here."""

    opened = 0

    def __init__(self, url):
        parts = urlsplit(url)
        Client.opened += 1
        self.socket = socket.socket()
        self.socket.settimeout(10)
        self.socket.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        self.socket.bind((f"127.0.0.{2 + Client.opened % 8}", 0))
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request):
        self.socket.sendall(request)

    def answer(self):
        """The body of a small answer; ConnectionError unless its status is 200."""
        got = b""
        while True:
            head, end, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
            if end and (not length or len(body) >= int(length.group(1))):
                break
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError("the connection ended")
            got += piece
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head.split(b"\r\n")[0].decode(errors="replace"))
        return body

    def close(self):
        self.socket.close()


def get(url):
    client = Client(url)
    try:
        client.send(ask_for(url, "Connection: close"))
        return client.answer()
    finally:
        client.close()


def open_clients(url, count, request):
    clients = []
    for _ in range(count):
        clients.append(Client(url))
        clients[-1].send(request)
    return clients


def close_all(clients):
    for client in clients:
        client.close()


def open_idle(url, count):
    """Keep-alive connections that have had one answer each."""
    clients, request = [], ask_for(url)
    for _ in range(count):
        client = Client(url)
        client.send(request)
        client.answer()
        clients.append(client)
    return clients


def unsettled(clients):
    """How many of them have something to read, which an idle or a waiting connection has not."""
    poll = select.poll()
    for client in clients:
        poll.register(client.socket, select.POLLIN)
    return len(poll.poll(0))


class Latency:
    """Of requests one after the other, half of them on a connection that stays and half on new ones."""

    def __init__(self, url, count):
        kept, request = Client(url), ask_for(url)
        times = []
        for i in range(count):
            begin = time.perf_counter()
            if i % 2:
                kept.send(request)
                kept.answer()
            else:
                get(url)
            times.append(time.perf_counter() - begin)
        kept.close()
        times.sort()
        self.median, self.p99, self.worst = statistics.median(times), times[int(len(times) * 0.99)], times[-1]


# ---- tables ----


def table(head, rows):
    """Text to the left in the first column and the last, figures to the right between."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        cells[0], cells[-1] = row[0].ljust(widths[0]), row[-1]
        print("  " + "  ".join(cells).rstrip())


def show_costs(bench, title, costs, base_name, most=None, goal="", unit="req"):
    """A row for each server; ratios are to base_name's, and `most` is reeve's bar."""
    base = costs.get(base_name)
    rows = []
    for name, cost in costs.items():
        row = [name, f"{statistics.median(cost.rates):.0f}", f"{statistics.median(cost.costs):.2f}", "-", "-", ""]
        if base:
            each = ratios(cost, base)
            ratio = statistics.median(each)
            row[3:5] = f"{ratio:.2f}", f"{min(each):.2f}-{max(each):.2f}"
            if most and name == "reeve":
                row[5] = bench.bar(f"{title}: {name} / {base_name}", ratio, most) + goal
        if cost.lost:
            row[5] += f" {cost.lost} requests lost"
        rows.append(row)
    table(["server", f"{unit}/s", f"us/{unit}", f"x {base_name}", "range", "bar"], rows)


def ms(seconds):
    return f"{seconds * 1e3:.2f}" if seconds is not None else "-"
