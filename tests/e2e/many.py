"""many.py: thousands of long-lived connections of four kinds in one process: each is asked from time to time which build
it talks to, and each that is lost is counted with the reason.

    many.py --port PORT [--chat-host ADDRESS] [--chat-port PORT] [--http N] [--chat N] [--ws N] [--sse N] [OPTION...] < COMMANDS

  http   keeps a connection and sends GET --http-path (/); an answer other than 200 is the answer `status N`
  chat   sends the line `ping` to --chat-port
  ws     sends the text `ping` to --ws-path (/ws); pings are answered, a close frame is a loss
  sse    reads the stream of --sse-path (/events), which has to bring an event from time to time: that is its answer

What the server says is an answer where --pattern ('build (\\d+)') matches, and its group is the build; anything else that
comes over chat, ws and sse is passed over. A connection is open when it has had its first answer. --sources (4): from so
many addresses, 127.0.0.2 and on. --every (10): each is asked once in so many seconds, besides what is commanded; 0: never.

Commands, one a line; each is answered by one line of JSON:

  probe [SECONDS]         asks all that are open, and waits for all answers, SECONDS (20) at most
  until BUILD [SECONDS]   probes until all answers of a round come from this build, SECONDS (60) at most
  report                  asks nothing
  reopen                  opens anew what was lost, and forgets the losses

The first line comes by itself, when all have been opened. The JSON: `open` and `opened` by kind; `lost` by kind and reason
(`EOF`, an errno, `close 1012`, `refused 503`; with `asked` behind it when an answer was due); `answers` by kind and build,
of this round, and how many are `unanswered`; `slowest_ms` of the round; `build`, the newest one that was ever heard, and
`since`, when any other was heard for the last time; `at`, now; both in seconds since the start. The end of the commands
ends it; exit status 1 when any connection was lost."""
import argparse
import collections
import errno
import json
import os
import re
import resource
import select
import socket
import struct
import sys
import time

OPENING_AT_ONCE = 200
TICK = 0.05
PATIENCE = 30  # for the first answer


class Lost(Exception):
    """Says why."""


class Connection:
    """What all kinds have in common. Each has: hello(), what it sends first, ask(), what it sends for an answer, and
    read(), which takes from self.got and returns the answers in it."""
    __slots__ = ("sock", "got", "unsent", "asked", "is_open", "is_due", "is_upgraded", "options")

    def __init__(self, options, source):
        self.options = options
        self.got, self.unsent = bytearray(), b""
        self.asked = 0.0          # when, as long as an answer is due
        self.is_open = False      # has had its first answer
        self.is_due = False       # has to answer in this round
        self.is_upgraded = False  # the head of the stream or of the handshake has come
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: chosen at connect, so ports do not run out
        self.sock.bind((source, 0))
        self.sock.connect_ex(self.address())
        self.unsent = self.hello()

    def address(self):
        return "127.0.0.1", self.options.port

    def get(self, path, extra=b""):
        return b"GET %s HTTP/1.1\r\nHost: many\r\n%s\r\n" % (path.encode(), extra)

    def hello(self):
        return self.ask()

    def builds(self, text):
        return [match.decode() for match in self.options.pattern.findall(text)]

    def take_head(self, want):
        """Removes the head of an HTTP answer when all of it is there; its status has to be the one wanted."""
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = int(self.got[9:12])
        if status != want:
            raise Lost(f"refused {status}")
        del self.got[:end + 4]
        return True


class Http(Connection):
    __slots__ = ()

    def ask(self):
        return self.get(self.options.http_path)

    def read(self):
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return []
        head = bytes(self.got[:end]).lower()
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        if length:
            whole = end + 4 + int(length.group(1))
            if len(self.got) < whole:
                return []
        else:
            last = self.got.find(b"0\r\n\r\n", end + 4)
            if last < 0:
                return []
            whole = last + 5
        body = bytes(self.got[end + 4:whole])
        status = int(self.got[9:12])
        del self.got[:whole]
        answers = self.builds(body) if status == 200 else []
        if b"\r\nconnection: close" in head:
            raise Lost(f"Connection: close with {status}")
        return answers[:1] or [f"status {status}"]


class Chat(Connection):
    __slots__ = ()

    def address(self):
        return self.options.chat_host, self.options.chat_port

    def ask(self):
        return b"ping\r\n"

    def read(self):
        end = self.got.rfind(b"\n") + 1
        answers = self.builds(bytes(self.got[:end]))
        del self.got[:end]
        return answers


class Sse(Connection):
    __slots__ = ()

    def hello(self):
        return self.get(self.options.sse_path, b"Accept: text/event-stream\r\n")

    def ask(self):
        return b""

    def read(self):
        if not self.is_upgraded:
            self.is_upgraded = self.take_head(200)
        if not self.is_upgraded:
            return []
        if re.search(rb"(?:^|\n)0\r\n\r\n$", self.got):
            raise Lost("end of the stream")
        end = self.got.rfind(b"\n") + 1
        answers = self.builds(bytes(self.got[:end]))
        del self.got[:end]
        return answers


class WebSocket(Connection):
    __slots__ = ()

    @staticmethod
    def frame(opcode, payload):
        return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload  # masked with zeros

    def hello(self):
        return self.get(self.options.ws_path, b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                              b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") + self.ask()

    def ask(self):
        return self.frame(1, b"ping")

    def read(self):
        if not self.is_upgraded:
            self.is_upgraded = self.take_head(101)
        answers = []
        while self.is_upgraded and len(self.got) >= 2:
            length, size = self.got[1] & 0x7F, 2
            if length >= 126:
                size = 4 if length == 126 else 10
                length = int.from_bytes(self.got[2:size], "big")
            if len(self.got) < size + length:
                break
            opcode, payload = self.got[0] & 15, bytes(self.got[size:size + length])
            del self.got[:size + length]
            answers += self.take(opcode, payload)
        return answers

    def take(self, opcode, payload):
        if opcode == 8:
            try:
                self.sock.send(self.frame(8, payload[:2]))
            except OSError:
                pass
            raise Lost(f"close {struct.unpack('>H', payload[:2])[0] if payload else 1005}")
        if opcode == 9:
            self.unsent += self.frame(10, payload)
        return self.builds(payload) if opcode in (0, 1) else []


KINDS = {"http": Http, "chat": Chat, "ws": WebSocket, "sse": Sse}


class Crowd:
    def __init__(self, options):
        self.options = options
        self.epoll = select.epoll()
        self.connections = {}      # by descriptor
        self.by_turn = collections.deque()
        self.oldest = collections.deque()  # in the order in which they were begun, until they are open
        wanted = [(n, kind) for kind in KINDS for n in range(getattr(options, kind))]
        self.waiting = collections.deque(kind for _, kind in sorted(wanted))  # to be opened, well mixed
        self.opening = 0
        self.opened = collections.Counter()
        self.lost = collections.defaultdict(collections.Counter)
        self.answers = collections.defaultdict(collections.Counter)
        self.heard = {}            # by build: when, for the last time
        self.newest = None
        self.due = 0               # connections that have to answer in this round
        self.slowest = 0.0
        self.begun = self.ticked = time.monotonic()
        self.sources = 0

    # ---- one connection

    def open_more(self):
        while self.waiting and self.opening < OPENING_AT_ONCE:
            kind = self.waiting.popleft()
            self.sources += 1
            self.opening += 1
            try:
                connection = KINDS[kind](self.options, f"127.0.0.{2 + self.sources % self.options.sources}")
            except OSError as error:
                self.opening -= 1
                self.lost[kind][errno.errorcode.get(error.errno, str(error))] += 1
                continue
            connection.asked = time.monotonic()
            self.oldest.append(connection)
            self.connections[connection.sock.fileno()] = connection
            self.epoll.register(connection.sock, select.EPOLLIN | select.EPOLLOUT)

    def kind_of(self, connection):
        return next(kind for kind, cls in KINDS.items() if type(connection) is cls)

    def lose(self, connection, reason):
        if connection.is_due:
            self.due -= 1
        if not connection.is_open:
            self.opening -= 1
            reason += " opening"
        elif connection.asked:
            reason += " asked"
        self.lost[self.kind_of(connection)][reason] += 1
        self.epoll.unregister(connection.sock)
        del self.connections[connection.sock.fileno()]
        connection.sock.close()

    def send(self, connection):
        """What is unsent; the rest when there is room again."""
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        connection.unsent = connection.unsent[sent:]
        self.epoll.modify(connection.sock, select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0))

    def ask(self, connection):
        if not connection.asked:
            connection.asked = time.monotonic()
            connection.unsent += connection.ask()
            if connection.unsent:
                try:
                    self.send(connection)
                except OSError as error:
                    self.lose(connection, errno.errorcode[error.errno])

    def serve(self, connection, events):
        try:
            if events & select.EPOLLOUT and connection.unsent:
                self.send(connection)
            if events & ~select.EPOLLOUT:
                piece = connection.sock.recv(65536)
                connection.got += piece
                for answer in connection.read() if piece else []:
                    self.hear(connection, answer)
                if not piece:
                    raise Lost("EOF")
                if connection.unsent:
                    self.send(connection)
        except BlockingIOError:
            pass
        except Lost as lost:
            self.lose(connection, str(lost))
        except OSError as error:
            self.lose(connection, errno.errorcode.get(error.errno, str(error)))

    def hear(self, connection, answer):
        now = time.monotonic()
        kind = self.kind_of(connection)
        if answer not in self.heard:
            self.newest = answer
        self.heard[answer] = now
        if not connection.is_open:
            connection.is_open = True
            self.opening -= 1
            self.opened[kind] += 1
            self.by_turn.append(connection)
        if connection.is_due:
            connection.is_due = False
            self.due -= 1
            self.answers[kind][answer] += 1
            if connection.asked:
                self.slowest = max(self.slowest, now - connection.asked)
        connection.asked = 0.0

    # ---- all of them

    def work(self, seconds=TICK):
        """Serves what is ready, opens more, and asks those whose turn it is."""
        self.open_more()
        for fd, events in self.epoll.poll(seconds, 4096):
            connection = self.connections.get(fd)
            if connection:
                self.serve(connection, events)
        now = time.monotonic()
        if self.options.every and now - self.ticked >= TICK:
            share = len(self.by_turn) * (now - self.ticked) / self.options.every
            for _ in range(min(len(self.by_turn), int(share) + 1)):
                connection = self.by_turn.popleft()
                if connection.sock.fileno() >= 0:
                    self.by_turn.append(connection)
                    self.ask(connection)
            self.ticked = now

    def probe(self, seconds):
        """One round; who has been asked before and not answered yet may answer that."""
        self.answers.clear()
        deadline = time.monotonic() + seconds
        for connection in list(self.connections.values()):
            if connection.is_open:
                connection.is_due = True
                self.due += 1
                self.ask(connection)
        while self.due and time.monotonic() < deadline:
            self.work()
        unanswered = collections.Counter()
        for connection in self.connections.values():
            if connection.is_due:
                connection.is_due = False
                unanswered[self.kind_of(connection)] += 1
        self.due = 0
        return unanswered

    def until(self, build, seconds):
        deadline = time.monotonic() + seconds
        while True:
            unanswered = self.probe(max(0, deadline - time.monotonic()))
            heard = {answer for kind in self.answers.values() for answer in kind}
            if heard == {build} and not unanswered or time.monotonic() > deadline:
                return unanswered

    def report(self, unanswered=None):
        others = [when for build, when in self.heard.items() if build != self.newest]
        now_open = collections.Counter(self.kind_of(each) for each in self.connections.values() if each.is_open)
        print(json.dumps({
            "open": now_open, "opened": self.opened, "lost": self.lost, "answers": self.answers,
            "unanswered": unanswered or {}, "slowest_ms": round(self.slowest * 1000, 1), "build": self.newest,
            "since": round(max(others) - self.begun, 3) if others else 0,
            "at": round(time.monotonic() - self.begun, 3)}), flush=True)
        self.answers.clear()
        self.slowest = 0.0

    def open_all(self):
        while self.waiting or self.opening:
            self.work()
            while self.oldest and self.is_settled(self.oldest[0]):
                self.oldest.popleft()

    def is_settled(self, connection):
        """It is open, or lost, or has been silent for too long and is lost now."""
        if connection.is_open or connection.sock.fileno() < 0:
            return True
        if time.monotonic() - connection.asked < PATIENCE:
            return False
        self.lose(connection, "silence")
        return True

    def reopen(self):
        for kind, reasons in self.lost.items():
            self.waiting.extend([kind] * sum(reasons.values()))
        self.lost.clear()
        self.open_all()

    def obey(self, line):
        command, *words = line.split()
        unanswered = None
        if command == "probe":
            unanswered = self.probe(float(words[0]) if words else 20)
        elif command == "until":
            unanswered = self.until(words[0], float(words[1]) if words[1:] else 60)
        elif command == "reopen":
            self.reopen()
        elif command != "report":
            sys.exit(f"unknown command {command}")
        self.report(unanswered)


def commands(crowd):
    """The lines on stdin; while there is none, the crowd is served."""
    rest = b""
    while True:
        while not select.select([0], [], [], 0)[0]:
            crowd.work()
        piece = os.read(0, 4096)
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode() for line in lines if line.strip())
        if not piece:
            return


def raise_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))
    except ValueError:
        sys.exit(f"{count} descriptors are needed, and {hard} allowed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chat-host", default="127.0.0.1")
    parser.add_argument("--chat-port", type=int)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0)
    parser.add_argument("--http-path", default="/")
    parser.add_argument("--ws-path", default="/ws")
    parser.add_argument("--sse-path", default="/events")
    parser.add_argument("--pattern", default=r"build (\d+)", type=lambda text: re.compile(text.encode()))
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--every", type=float, default=10)
    options = parser.parse_args()
    raise_limit(sum(getattr(options, kind) for kind in KINDS) + 50)
    crowd = Crowd(options)
    crowd.open_all()
    crowd.report()
    for line in commands(crowd):
        crowd.obey(line)
    return 1 if crowd.lost else 0


if __name__ == "__main__":
    sys.exit(main())
