"""The benchmarks, in the order of their run. Each prints a table, and its bars through Bench.bar()."""
import glob, os, shlex, statistics, subprocess, time
from concurrent.futures import ThreadPoolExecutor

import peers
import live
from measure import (Latency, Load, Steady, ask_for, close_all, ending, get, ms, open_clients, open_idle, pss_bytes, ratios,
                     rss_bytes, run_wrk, show_costs, start_steady, start_wrk, table, take_turns, unsettled,
                     within_descriptors)
from peers import HERE, ROOT, Missing

CONNECTIONS = 64


def cost_table(bench, title, what, base_name, most=None, goal="", names=(), **options):
    """A row for each server (or those named) that has `what`; ratios are to base_name's, and `most` is reeve's bar."""
    servers = bench.yard.having(what, *names)
    print(f"{title}:")
    costs = take_turns(servers, what, bench.rounds, folder=bench.folder, seconds=bench.seconds,
                       connections=CONNECTIONS, **options)
    show_costs(bench, title, costs, base_name, most, goal)


# ---- CPU a request ----


def hello(bench):
    cost_table(bench, "hello, depth 1", "hello", "limit", 1.08, ", goal 1.05")
    cost_table(bench, "hello, depth 16", "hello", "limit", 2.0, depth=16)


def files(bench):
    for size in peers.FILES:
        cost_table(bench, f"files, {size}", size, "lighttpd", 1.0)


def close(bench):
    cost_table(bench, "hello, a new connection for each request", "close", "limit", is_closing=True)


# ---- memory ----


def idle_cost(server, count):
    url = server.urls["hello"]
    close_all(open_idle(url, 32))
    time.sleep(0.2)
    before = pss_bytes(server.pids())
    clients = open_idle(url, count)
    time.sleep(0.5)
    grew = pss_bytes(server.pids()) - before
    try:
        for client in clients:
            client.send(ask_for(url))
            client.answer()
        return grew / count
    finally:
        close_all(clients)
        time.sleep(0.2)


def idle(bench):
    count = within_descriptors(1000 if bench.is_quick else 4000)
    servers, rows = bench.yard.having("hello"), []
    print(f"memory of an idle keep-alive connection ({count} of them; the kernel's share is not counted):")
    for server in servers:
        try:
            size = idle_cost(server, count)
        except OSError as error:
            rows.append([server.name, "-", f"no figure: {error}"])
            continue
        bar = bench.bar("bytes an idle connection", size, 1024) if server.name == "reeve" else ""
        rows.append([server.name, f"{size:.0f}", bar])
    table(["server", "bytes", "bar"], rows)
    live.idle_of_each_kind(bench)


# ---- many that wait ----


def latency_row(bench, name, url, is_measured=True):
    latency = Latency(url, 100 if bench.is_quick else 400)
    bar = bench.bar(f"hello's worst ms, {name}", latency.worst * 1e3, 100) if is_measured else ""
    return [name, ms(latency.median), ms(latency.p99), ms(latency.worst), bar]


def waiting(bench):
    count, server = within_descriptors(2000 if bench.is_quick else 10000, 2), bench.yard.get("reeve")
    url, sleep = server.urls["hello"], server.urls["sleep"] + "?ms=60000"
    close_all(open_clients(sleep, 32, ask_for(sleep)))
    time.sleep(0.3)
    print(f"one worker with {count} sleeping requests and {count} idle connections; hello meanwhile, in ms:")
    rows = [latency_row(bench, "nothing else", url, is_measured=False)]
    before = pss_bytes(server.pids())
    idlers = open_idle(url, count)
    idle_size = (pss_bytes(server.pids()) - before) / count
    rows.append(latency_row(bench, f"{count} idle", url))
    before = pss_bytes(server.pids())
    sleepers = open_clients(sleep, count, ask_for(sleep))
    time.sleep(0.3)
    sleep_size = (pss_bytes(server.pids()) - before) / count
    rows.append(latency_row(bench, f"{count} idle, {count} sleeping", url))
    early = unsettled(idlers + sleepers)
    begin = time.monotonic()
    close_all(idlers + sleepers)
    get(url)
    gone = time.monotonic() - begin
    table(["with", "median", "p99", "worst", "bar"], rows)
    print(f"  memory: {idle_size:.0f} bytes an idle connection, {sleep_size:.0f} bytes a sleeping request"
          f" with its connection ({bench.bar('bytes a sleeping request', sleep_size, 10000)});"
          f" all hung up within {gone:.2f} s")
    if early:
        bench.fail(f"waiting: {early} connections were answered or closed before their time")


# ---- reload under load ----

NUMBERED = """#include <reeve/app.h>
static int hello(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, "build " NUMBER "\\n", sizeof "build " NUMBER);
}
REEVE_APP(.name = "hello", .version = NUMBER ".0", .application = hello);
""".replace('sizeof "build " NUMBER)', 'sizeof("build " NUMBER "\\n") - 1)')


def compile_builds(folder, count):
    source = peers.write(os.path.join(folder, "hello.c"), NUMBERED)

    def build(number):
        return peers.compile_c(os.path.join(folder, f"{number}.so"), "-shared", "-fPIC", "-fvisibility=hidden",
                               "-Wl,-Bsymbolic-functions", f"-I{ROOT}/include", f'-DNUMBER="{number}"', source)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(build, range(count)))


class ReeveReloads:
    """Deploys build after build, each different from the one before."""

    def __init__(self, bench, count, purpose="reloads"):
        self.control = os.path.join(peers.build_folder(), "bin/reevectl")
        if not os.path.exists(self.control):
            raise Missing("reevectl is not built")
        folder = bench.yard.subfolder(f"reeve-{purpose}")
        self.builds = compile_builds(folder, count + 1)
        self.module = os.path.join(folder, "hello.so")
        self.number = 0
        self.install()
        self.server = peers.start_reeve(folder, None, hello=self.module)
        self.took, self.sizes = [], []

    def install(self):
        temp = self.module + ".new"
        with open(self.builds[self.number % len(self.builds)], "rb") as f, open(temp, "wb") as g:
            g.write(f.read())
        os.rename(temp, self.module)

    def reload(self):
        self.number += 1
        self.install()
        begin = time.monotonic()
        done = subprocess.run([self.control, "-s", self.server.control, "-j", "reload", "hello"], capture_output=True,
                              text=True)
        self.took.append(time.monotonic() - begin)
        if done.returncode:
            raise RuntimeError(f"reload {self.number} failed: {(done.stdout + done.stderr).strip()[-300:]}")
        says, wanted = get(self.server.urls["hello"]), f"build {self.number % len(self.builds)}\n".encode()
        if says != wanted:
            raise RuntimeError(f"after reload {self.number} it answers {says!r} instead of {wanted!r}")
        self.sizes.append([rss_bytes(pid) >> 10 for pid in self.server.pids()[:2]])

    def mapped(self):
        """How many generations the worker has mapped."""
        names = set()
        for pid in self.server.pids()[1:]:
            with open(f"/proc/{pid}/maps") as maps:
                names |= {line.split()[5] for line in maps if "/spool/" in line}
        return len(names)

    def remarks(self):
        count = len(self.sizes)
        first, last = self.sizes[count // 4 - 1], self.sizes[-1]
        return (f"a reload takes {ms(statistics.median(self.took))} ms; resident after {count // 4} and {count} reloads:"
                f" master {first[0]} and {last[0]} KB, worker {first[1]} and {last[1]} KB;"
                f" generations mapped in the worker: {self.mapped()}")


class NginxReloads:
    def __init__(self, bench, count, purpose="reloads"):
        self.server = peers.start_nginx(bench.yard.subfolder(f"nginx-{purpose}"), bench.yard.www)

    def reload(self):
        self.server.process.send_signal(peers.signal.SIGHUP)

    def remarks(self):
        return ""


def under_load(bench, url, seconds, is_closing, reloads=0, reload=None):
    with ending(start_wrk(bench.folder, url, 32, seconds, is_closing=is_closing)) as wrk:
        begin = time.monotonic() + 0.2
        for i in range(reloads):
            time.sleep(max(0, begin + i * (seconds - 0.5) / reloads - time.monotonic()))
            reload()
        if wrk.poll() is not None:
            print("  (the load ended before the reloads did)")
        return Load(wrk.communicate()[0])


def reload_rows(bench, kind, count, seconds):
    reloader = kind(bench, count)
    name, url = reloader.server.name, reloader.server.urls["hello"]
    rows = []
    for is_closing in (False, True):
        calm = under_load(bench, url, seconds, is_closing)
        busy = under_load(bench, url, seconds, is_closing, count, reloader.reload)
        lost = busy.errors + busy.refused
        bar = bench.bar("requests lost by reloads", lost, 0) if name == "reeve" else ""
        rows.append([name, "close" if is_closing else "keep-alive", busy.requests, lost, ms(calm.p99), ms(busy.p99),
                     f"{busy.rate / calm.rate:.2f}", bar])
    return rows, reloader.remarks()


def reload(bench):
    count, seconds = (8, 2) if bench.is_quick else (20, 4)
    print(f"{count} reloads in {seconds} s under 32 connections:")
    rows, remarks = [], []
    for kind in (ReeveReloads, NginxReloads):
        try:
            more, remark = reload_rows(bench, kind, count, seconds)
            rows += more
            remarks += [remark] if remark else []
        except Missing as why:
            print(f"  left out: {why}")
    if rows:
        table(["server", "connections", "requests", "lost", "p99 ms calm", "p99 ms", "x calm req/s", "bar"], rows)
    for remark in remarks:
        print(f"  {remark}")


# ---- a deployment a second ----


def reload_each_second(reloader, seconds):
    begin = time.monotonic() + 0.5
    for i in range(seconds):
        time.sleep(max(0, begin + i - time.monotonic()))
        reloader.reload()
    if time.monotonic() > begin + seconds:
        print(f"  ({reloader.server.name}: {seconds} reloads took {time.monotonic() - begin:.1f} s)")


def steady_turns(bench, binary, reloader, turns, seconds):
    """Half of what it can do, and periods without and with reloads, each first in turn: two lists of Steady."""
    url = reloader.server.urls["hello"]
    rate = statistics.median(run_wrk(bench.folder, url, CONNECTIONS, 1).rate for _ in range(3)) / 2
    calm, busy = [], []
    for turn in range(turns):
        for is_busy in (False, True) if turn % 2 == 0 else (True, False):
            with ending(start_steady(binary, url, rate, seconds, CONNECTIONS)) as client:
                if is_busy:
                    reload_each_second(reloader, seconds)
                (busy if is_busy else calm).append(Steady(client.communicate()[0]))
    return rate, calm, busy


def deploys_row(bench, name, rate, calm, busy):
    each = [with_them.p99 / without.p99 for without, with_them in zip(calm, busy)]
    middle = {what: [ms(statistics.median(getattr(period, what) for period in periods)) for periods in (calm, busy)]
              for what in ("p50", "p99", "p999", "worst")}
    errors = [sum(period.errors for period in periods) for periods in (calm, busy)]
    ratio, bar = statistics.median(each), ""
    if name == "reeve":
        bench.bar("requests lost by a deployment a second", errors[1], 0)
        bar = bench.bar("p99 with a deployment a second / without", ratio, 2.0)
    return [name, f"{rate:.0f}", *(" / ".join(pair) for pair in middle.values()), " / ".join(map(str, errors)),
            f"{ratio:.2f}", f"{min(each):.2f}-{max(each):.2f}", bar]


def deploys(bench):
    turns, seconds = (1, 3) if bench.is_quick else (bench.rounds, 4)
    binary = peers.compile_c(os.path.join(bench.folder, "steady"), f"{HERE}/steady.c")
    print(f"a deployment a second at half load, {turns} times {seconds} s without / with; times in ms:")
    rows, late = [], 0
    for kind in (ReeveReloads, NginxReloads):
        try:
            reloader = kind(bench, 8, "deploys")
            rate, calm, busy = steady_turns(bench, binary, reloader, turns, seconds)
        except Missing as why:
            print(f"  left out: {why}")
            continue
        rows.append(deploys_row(bench, reloader.server.name, rate, calm, busy))
        late = max(late, *(period.late for period in calm))
    table(["server", "req/s", "p50", "p99", "p99.9", "worst", "lost", "x p99", "range", "bar"], rows)
    if late > 1e-3:
        print(f"  (even without deployments the client could not always send in time, p99 {ms(late)} ms late:"
              " somebody else used the machine)")


# ---- even load ----


def sockets_of(pid):
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except OSError:
            pass
    return count


def even_row(bench, name):
    """Long-lived clients come one by one while others keep the workers busy: how many does each worker get?"""
    server, count = bench.yard.get(name), 100 if bench.is_quick else 400
    if not server:
        return None
    url = server.urls["hello"]
    workers = server.pids()[1:]
    before = [sockets_of(pid) for pid in workers]
    clients = []
    with ending(start_wrk(bench.folder, url, 16, 60)), ending(start_wrk(bench.folder, url, 4, 60, is_closing=True)):
        time.sleep(0.5)
        busy = [sockets_of(pid) for pid in workers]
        for _ in range(count):
            clients += open_clients(url, 1, ask_for(url))
            time.sleep(0.002)
    time.sleep(0.5)
    got = [sockets_of(pid) - was for pid, was in zip(workers, before)]
    close_all(clients)
    ratio = max(got) / max(min(got), 1)
    bar = bench.bar("even load: most / least", ratio, 1.25) if name.startswith("reeve") else ""
    return [name, "  ".join(map(str, [b - a for a, b in zip(before, busy)])), "  ".join(map(str, got)), f"{ratio:.2f}", bar]


def even(bench):
    print("four workers, with 16 kept connections and 4 of one request each at full speed; then the long-lived ones come:")
    rows = [even_row(bench, name) for name in ("reeve, four", "nginx, four")]
    table(["server", "before", "long-lived, by worker", "most/least", "bar"], [row for row in rows if row])


# ---- beside another build ----


def beside(bench):
    """What did a change cost? Ratios to another build, turn by turn."""
    if not bench.yard.get("reeve, beside"):
        return
    for title, what, options in (("hello, depth 1", "hello", {}), ("hello, depth 16", "hello", {"depth": 16}),
                                 ("a new connection for each request", "close", {"is_closing": True})):
        servers = bench.yard.having(what, "reeve", "reeve, beside")
        costs = take_turns(servers, what, bench.rounds, folder=bench.folder, seconds=bench.seconds,
                           connections=CONNECTIONS, **options)
        each = ratios(costs["reeve"], costs["reeve, beside"])
        print(f"{title}: this build {statistics.median(each):.3f} x the other ({min(each):.2f}-{max(each):.2f})")


# ---- coroutines ----


SWITCH_BAR = 20  # ns


def without_server(bench, name):
    """Runs NAME.c, which links the rooms runtime and base; the lines it prints are name and ns."""
    build = peers.build_folder()
    objects = [o for room in ("runtime", "base") for o in glob.glob(f"{build}/obj/server/{room}/*.o")]
    if not objects:
        raise Missing(f"no objects in {build}: run make first")
    libraries = subprocess.run(["pkg-config", "--libs", "libevent_core", "libcjson", "libconfuse"],
                               capture_output=True, text=True).stdout
    binary = peers.compile_c(os.path.join(bench.folder, name), f"-I{ROOT}/include", f"-I{ROOT}/server",
                             f"{HERE}/{name}.c", *objects, *shlex.split(libraries), "-pthread", "-ldl")
    out = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def switch(bench):
    print("coroutines:")
    table(["what", "ns", "bar"],
          [[name, ns, bench.bar(name, float(ns), SWITCH_BAR) if name == "one switch" else ""]
           for name, ns in without_server(bench, "switch")])


def ring(bench):
    print("publications between workers:")
    table(["what", "ns"], without_server(bench, "ring"))


# ---- the router ----


def router(bench):
    build = peers.build_folder()
    objects = [o for name in ("web/route_*", "http/chars", "base/arena")
               for o in glob.glob(f"{build}/obj/server/{name}.c.o")]
    if len(objects) < 4:
        raise Missing(f"no objects in {build}: run make first")
    binary = peers.compile_c(os.path.join(bench.folder, "router"), f"-I{ROOT}/server", f"{HERE}/router.c", *objects)
    out = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    print("the router, to find a path's route:")
    table(["what", "ns, 10 routes", "ns, 1,000 routes", "x"],
          [[what, few, many, f"{float(many) / float(few):.2f}"]
           for what, few, many in (line.split("\t") for line in out.splitlines())])


# ---- views ----


def views(bench):
    cost_table(bench, "a view that answers with 1 KB of JSON", "json", "libmicrohttpd",
               names=("reeve, views", "libmicrohttpd"))
    cost_table(bench, "a view that answers with a row of PostgreSQL (its own CPU is not counted)", "row", "libmicrohttpd",
               names=("reeve, notes", "libmicrohttpd, notes"))


# ---- futures and tasks ----

FUTURE_BAR = 200  # ns


def futures(bench):
    folder = bench.yard.subfolder("async")
    server = peers.start_reeve(folder, None, hello=peers.compile_module(folder, "async"))
    lines = [line.split("\t") for line in get(server.urls["hello"]).decode().splitlines()]
    print("futures and tasks, measured by an application in a worker:")
    table(["what", "ns", "bar"], [[name, ns, bench.bar(name, float(ns), FUTURE_BAR) if "future" in name else ""]
                                  for name, ns in lines])


ALL = {
    "hello": (hello, "CPU a request, depth 1 and 16"),
    "files": (files, "CPU a request, 10 KB and 1 MB"),
    "close": (close, "CPU a request, a new connection each"),
    "idle": (idle, "memory of an idle connection, of each kind"),
    "waiting": (waiting, "10,000 sleeping requests, 10,000 idle connections, and hello's latency meanwhile"),
    "reload": (reload, "requests lost and latency while builds are deployed under load"),
    "deploys": (deploys, "latency at half load with a deployment a second"),
    "even": (even, "long-lived connections over four workers, beside nginx"),
    "beside": (beside, "CPU a request beside another build of reeve, $REEVE_BESIDE"),
    "switch": (switch, "a coroutine switch, in nanoseconds"),
    "ring": (ring, "publishing from worker to worker, in nanoseconds"),
    "router": (router, "finding a path's route among 10 and among 1,000, in nanoseconds"),
    "views": (views, "CPU a request of views that answer with JSON and with a row of PostgreSQL, beside libmicrohttpd"),
    **live.ALL,
    "futures": (futures, "a future resolved and awaited, a task spawned and awaited, in nanoseconds"),
}
