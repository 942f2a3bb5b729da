"""The servers that are compared: how each is started, on free loopback ports, with all its files in a folder of its own.

A Server knows its URLs by what they serve ("hello", "close", "10 KB", "1 MB"); one that a peer does not have is left out of
that table. Nothing here reads or writes a system service's configuration.
"""
import contextlib, glob, os, shutil, signal, socket, subprocess, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HELLO = "Hello, World!\n"
FILES = {"10 KB": ("10k.bin", 10 << 10), "1 MB": ("1m.bin", 1 << 20)}

_cpus = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = _cpus[0], _cpus[-1]  # the same one where there is only one


class Missing(Exception):
    """A peer or a tool that is not here, or did not start: one sentence why."""


class Server:
    def __init__(self, name, folder, command, port, urls, stop=signal.SIGTERM, ready="", place=None):
        """`ready`: what it logs when it has started; empty: it has when its port is open. `place`: on which CPU."""
        self.name, self.folder, self.port, self.stop_signal, self.ready = name, folder, port, stop, ready
        self.urls = {what: f"http://127.0.0.1:{port}{path}" for what, path in urls.items()}
        self.log = os.path.join(folder, "log")
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C reaches this program alone, which then stops the servers.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                            start_new_session=True, preexec_fn=place or _on_server_cpu)
        _running.append(self)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                with open(self.log, errors="replace") as log:
                    if self.ready in log.read():
                        return
            time.sleep(0.02)
        said = self.last_words()
        self.stop()
        raise Missing(f"{self.name} did not start: {said}")

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return " | ".join(log.read().strip().splitlines()[-3:]) or "it said nothing"

    def pids(self):
        """Its own process and all beneath it."""
        children = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/stat") as stat:
                    children.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(pid))
        pids = [self.process.pid]
        for pid in pids:
            pids += children.get(pid, [])
        return pids

    def stop(self):
        pids = self.pids()
        _running[:] = [server for server in _running if server is not self]
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(5)
                return
            except subprocess.TimeoutExpired:
                pass
        else:
            pids = pids[1:]
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


_running = []


def stop_all():
    for server in list(_running):
        server.stop()


def _on_server_cpu():
    os.sched_setaffinity(0, {SERVER_CPU})


def on_all_cpus():
    os.sched_setaffinity(0, set(_cpus))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is not installed")
    return found


def build_folder():
    return os.path.abspath(os.environ.get("REEVE_BUILD") or os.path.join(ROOT, "build"))


def compile_c(output, *arguments):
    command = [os.environ.get("CC") or "cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", output, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{os.path.basename(output)} was not compiled: {done.stderr.strip().splitlines()[:1]}")
    return output


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def make_www(folder):
    www = os.path.join(folder, "www")
    os.mkdir(www)
    for name, size in FILES.values():
        with open(os.path.join(www, name), "wb") as f:
            f.write(os.urandom(size))
    return www


def file_urls(prefix=""):
    return {what: f"{prefix}/{name}" for what, (name, _) in FILES.items()}


# ---- reeve ----------------------------------------------------------------------------------------------------------


def start_reeve(folder, www, hello=None, workers=1, build=None, options="", more="", place=None):
    """With all bundled apps that are measured, or with `hello`, a module, alone; `more` goes into the configuration."""
    build, port = build or build_folder(), free_port()
    apps = os.path.join(build, "apps")
    text = f"""workers = {workers}
control = "{folder}/control.sock"
state_dir = "{folder}/state"
keep_alive = 10m
listen "127.0.0.1:{port}" {{ backlog = 4096 }}
app "hello" {{ module = "{hello or apps + '/hello.so'}" option {{ {options} }} }}
"""
    if not hello:
        text += f"""app "files" {{ module = "{apps}/files.so" mount = "/files" option {{ root = "{www}" }} }}
app "sleep" {{ module = "{apps}/sleep.so" mount = "/sleep" }}
"""
    text += more
    os.mkdir(os.path.join(folder, "state"))
    conf = write(os.path.join(folder, "reeve.conf"), text)
    urls = {"hello": "/", "close": "/", "sleep": "/sleep", **file_urls("/files")}
    server = Server("reeve", folder, [os.path.join(build, "bin/reeve"), "-c", conf], port, urls, stop=signal.SIGINT,
                    ready=" ready: ", place=place)
    server.control = f"{folder}/control.sock"
    return server


def compile_module(folder, name, *libraries):
    """An application that lies beside this file."""
    return compile_c(os.path.join(folder, f"{name}.so"), "-shared", "-fPIC", "-fvisibility=hidden",
                     "-Wl,-Bsymbolic-functions", f"-I{ROOT}/include", f"{HERE}/{name}.c", *libraries)


def start_view(folder, www):
    server = start_reeve(folder, None, hello=compile_module(folder, "view"))
    server.name, server.urls = "reeve", {"json": server.urls["hello"] + "things/1"}
    return server


def start_note(folder, www):
    database = start_postgres()
    module = compile_module(folder, "note", os.path.join(build_folder(), "lib/libreeve-pg.a"), "-lpq")
    server = start_reeve(folder, None, hello=module, options=f'database = "{database.conninfo}"')
    server.name, server.urls = "reeve", {"row": server.urls["hello"] + "notes/1"}
    return server


def start_live(folder, www):
    """Long-lived connections: see live.c."""
    port = free_port()
    server = start_reeve(folder, None, hello=compile_module(folder, "live"),
                         more=f'listen "127.0.0.1:{port}" {{ protocol = chat app = "hello" backlog = 4096 }}\n')
    server.name, url = "reeve", server.urls["hello"]
    server.urls = {"hello": url, "chat": f"chat://127.0.0.1:{port}",
                   **{what: url + what for what in ("echo", "coroutine", "listen", "events", "tell")}}
    return server


def start_pubsub(folder, workers):
    """As many CPUs as there are: its workers talk to each other."""
    return start_reeve(folder, None, hello=compile_module(folder, "pubsub"), workers=workers, place=on_all_cpus)


def start_beside(folder, www):
    """Another build of reeve, a former one say."""
    build = os.environ.get("REEVE_BESIDE")
    if not build:
        raise Missing("REEVE_BESIDE names no build folder to compare with")
    server = start_reeve(folder, www, build=os.path.abspath(build))
    server.name = "reeve, beside"
    return server


# ---- peers ----------------------------------------------------------------------------------------------------------


def start_limit(folder, www):
    port = free_port()
    binary = compile_c(os.path.join(folder, "limit"), os.path.join(HERE, "limit.c"))
    return Server("limit", folder, [binary, str(port)], port, {"hello": "/"})


def start_limit_closing(folder, www):
    """The same, which ends each connection after its first answer: the limit for one connection a request."""
    port = free_port()
    binary = compile_c(os.path.join(folder, "limit"), os.path.join(HERE, "limit.c"))
    return Server("limit", folder, [binary, str(port), "close"], port, {"close": "/"})


def start_nginx(folder, www, workers=1):
    port, hello = free_port(), HELLO.replace("\n", "\\n")
    user = "user root;" if os.geteuid() == 0 else ""  # the temporary folder is closed to others
    temp = "\n    ".join(f"{kind}_temp_path {folder}/{kind};"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = write(os.path.join(folder, "nginx.conf"), f"""{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    {temp}
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 1s;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    types {{ application/octet-stream bin; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {www};
        location = / {{ default_type text/plain; return 200 "{hello}"; }}
    }}
}}
""")
    command = [program("nginx"), "-e", "stderr", "-p", folder, "-c", conf]
    return Server("nginx", folder, command, port, {"hello": "/", "close": "/", **file_urls()})


class Postgres(Server):
    """Runs as somebody else when this is root, since it refuses to be; so its folder is its own."""

    def __init__(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not programs:
            raise Missing("PostgreSQL is not installed")
        self.home, port = tempfile.mkdtemp(prefix="reeve-bench-pg-"), free_port()
        user = []
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres")
            user = [program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = os.path.join(self.home, "data")
        subprocess.run([*user, f"{programs[-1]}/initdb", "-D", data, "-U", "bench", "-A", "trust", "--no-sync"], cwd=self.home,
                       stdout=subprocess.DEVNULL, check=True)
        self.conninfo = f"host=127.0.0.1 port={port} user=bench dbname=postgres"
        super().__init__("PostgreSQL", self.home, [*user, f"{programs[-1]}/postgres", "-D", data, "-F", "-h", "127.0.0.1", "-k", "",
                                                   "-p", str(port)], port, {}, ready="ready to accept connections")
        subprocess.run([program("psql"), "-q", self.conninfo, "-c", "CREATE TABLE notes (id int PRIMARY KEY, title text);"
                        "INSERT INTO notes SELECT n, 'the note number ' || n FROM generate_series(1, 1000) n"], check=True)

    def stop(self):
        super().stop()
        shutil.rmtree(self.home, ignore_errors=True)


def start_postgres():
    """One for all who need it."""
    return next((server for server in _running if isinstance(server, Postgres)), None) or Postgres()


def start_mhd(folder, www, conninfo=None):
    """libmicrohttpd, for what the others have no code for: see mhd.c."""
    port = free_port()
    binary = compile_c(os.path.join(folder, "mhd"), os.path.join(HERE, "mhd.c"), "-lmicrohttpd", "-lcjson",
                       "-I/usr/include/postgresql", "-lpq")
    if conninfo:
        return Server("libmicrohttpd", folder, [binary, str(port), conninfo], port, {"row": "/notes/1"})
    return Server("libmicrohttpd", folder, [binary, str(port)], port, {"json": "/things/1"})


WEBSOCKET_URLS = {"echo": "/echo", "listen": "/listen"}


def start_lws(folder, www):
    port = free_port()
    binary = compile_c(os.path.join(folder, "lws"), os.path.join(HERE, "lws.c"), "-lwebsockets")
    return Server("libwebsockets", folder, [binary, str(port)], port, WEBSOCKET_URLS)


def start_node(folder, www):
    """Debian's node-ws, whichever Node.js there is."""
    if not os.path.isdir("/usr/share/nodejs/ws"):
        raise Missing("node-ws is not installed")
    port = free_port()
    command = [program("env"), "NODE_PATH=/usr/share/nodejs", program("node"), os.path.join(HERE, "ws.js"), str(port)]
    return Server("ws (node)", folder, command, port, WEBSOCKET_URLS)


def start_python(folder, www):
    """Debian's python3-websockets, so Debian's Python."""
    port = free_port()
    return Server("websockets (python)", folder, ["/usr/bin/python3", os.path.join(HERE, "ws.py"), str(port)], port,
                  WEBSOCKET_URLS)


def start_chatloop(folder, www):
    """What `limit` is for HTTP."""
    port = free_port()
    binary = compile_c(os.path.join(folder, "chatloop"), os.path.join(HERE, "chatloop.c"))
    return Server("chatloop", folder, [binary, str(port)], port, {"chat": ""})


def start_redis(folder):
    port, path = free_port(), os.path.join(folder, "redis.sock")
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path, "--save", "",
               "--appendonly", "no", "--daemonize", "no"]
    server = Server("redis", folder, command, port, {}, place=on_all_cpus)
    server.socket = path
    return server


def start_lighttpd(folder, www):
    port = free_port()
    write(os.path.join(www, "hello.txt"), HELLO)
    conf = write(os.path.join(folder, "lighttpd.conf"), f"""server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{www}"
server.pid-file = "{folder}/lighttpd.pid"
server.max-fds = 16384
server.max-connections = 8192
server.listen-backlog = 4096
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = 600
mimetype.assign = ( ".bin" => "application/octet-stream", ".txt" => "text/plain" )
""")
    command = [program("lighttpd"), "-D", "-f", conf]
    # It has no canned answer, so its hello is a file of that content.
    return Server("lighttpd", folder, command, port,
                  {"hello": "/hello.txt", "close": "/hello.txt", **file_urls()})


def start_h2o(folder, www):
    port = free_port()
    os.mkdir(os.path.join(folder, "hello"))
    write(os.path.join(folder, "hello", "hello.txt"), HELLO)
    user = "user: root" if os.geteuid() == 0 else ""
    conf = write(os.path.join(folder, "h2o.conf"), f"""{user}
listen: {{host: 127.0.0.1, port: {port}}}
num-threads: 1
max-connections: 8192
http1-request-timeout: 600
pid-file: {folder}/h2o.pid
hosts:
  default:
    paths:
      /hello: {{file.dir: {folder}/hello}}
      /: {{file.dir: {www}}}
""")
    return Server("h2o", folder, [program("h2o"), "-m", "worker", "-c", conf], port,
                  {"hello": "/hello/hello.txt", "close": "/hello/hello.txt", **file_urls()})


# In the order of the tables' rows. reeve and limit are the yardsticks; peers follow.
STARTERS = {
    "limit": start_limit,
    "limit, closing": start_limit_closing,
    "reeve": start_reeve,
    "reeve, four": lambda folder, www: start_reeve(folder, www, workers=4),
    "nginx, four": lambda folder, www: start_nginx(folder, www, workers=4),
    "reeve, beside": start_beside,
    "reeve, views": start_view,
    "libmicrohttpd": start_mhd,
    "reeve, notes": start_note,
    "libmicrohttpd, notes": lambda folder, www: start_mhd(folder, www, start_postgres().conninfo),
    "reeve, live": start_live,
    "libwebsockets": start_lws,
    "ws (node)": start_node,
    "websockets (python)": start_python,
    "chatloop": start_chatloop,
    "nginx": start_nginx,
    "lighttpd": start_lighttpd,
    "h2o": start_h2o,
}
# Those of the tables that compare servers with each other.
ORDINARY = ["limit", "limit, closing", "reeve", "nginx", "lighttpd", "h2o"]
NEEDED = {"limit", "limit, closing", "reeve", "reeve, live"}  # of the others, those that are missing are named and left out


class Yard:
    """The servers of one run: each is started when first asked for, and stays until the end."""

    def __init__(self, folder, say):
        self.folder, self.say, self.servers = folder, say, {}
        self.www = make_www(folder)

    def subfolder(self, name):
        path = os.path.join(self.folder, name.replace(", ", "-"))
        os.mkdir(path)
        return path

    def get(self, name):
        if name not in self.servers:
            try:
                self.servers[name] = STARTERS[name](self.subfolder(name), self.www)
            except Missing as why:
                if name in NEEDED:
                    raise
                self.servers[name] = None
                self.say(f"  without {name}: {why}")
        return self.servers[name]

    def having(self, what, *names):
        """Those of the named (or all) that are here and serve `what`."""
        servers = [self.get(name) for name in names or ORDINARY]
        return [server for server in servers if server and what in server.urls]
