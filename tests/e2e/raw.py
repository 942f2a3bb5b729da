#!/usr/bin/env python3
"""raw.py: an HTTP client that sends exactly the bytes it is told to, and judges what comes back.

    raw.py send [OPTIONS] ADDRESS PIECE...     sends the pieces, prints all that is received until the server closes;
                                               exit status 3 when it resets the connection
    raw.py check [OPTIONS] ADDRESS < TABLE     one connection a line, each with what is to come of it

ADDRESS is a port of 127.0.0.1, HOST:PORT, or unix:/PATH. A PIECE knows C's escapes (\\r \\n \\t \\0 \\xNN) and
{x*9000} for 9000 times x.

  --by N         sends N bytes at a time
  --half-close   says that nothing more will be sent
  --answers N    reads N whole answers and then closes, without waiting for the server to do so

A line of the table is  WANT | BYTES.  WANT is the statuses of the answers, with spaces between, then what becomes of the
connection: `close` (nothing more, and a regular end) or `open` (a further request on it is answered 200). Statuses may be
left out (`close`), and `any` stands for no check of the rest. Lines that are empty or begin with # are comments."""
import argparse
import re
import socket
import sys

TIMEOUT = 20
AFTER = b"GET / HTTP/1.1\r\nHost: after\r\n\r\n"


def unescape(text):
    data = text.encode().decode("unicode_escape").encode("latin-1")
    return re.sub(rb"\{(.+?)\*(\d+)\}", lambda m: m.group(1) * int(m.group(2)), data, flags=re.S)


def connect(address, receive_buffer=None):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        target = address[5:]
    else:
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        target = (host, int(port))
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(TIMEOUT)
    sock.connect(target)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Answer:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.status = int(lines[0].split(" ")[1])
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = b""

    def get(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default


class Client:
    """One connection. Its answers are parsed strictly: a byte out of place raises ValueError."""

    def __init__(self, address, by=0, receive_buffer=None):
        self.sock = connect(address, receive_buffer)
        self.by = by
        self.data = b""
        self.is_ended = False

    def send(self, data):
        """False when the server takes no more: its answer may be there all the same."""
        try:
            if self.by:
                for at in range(0, len(data), self.by):
                    self.sock.sendall(data[at : at + self.by])
            else:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.sock.close()

    def fill(self):
        """Reads once; False at the end."""
        if self.is_ended:
            return False
        more = self.sock.recv(65536)
        self.data += more
        self.is_ended = not more
        return not self.is_ended

    def take(self, size):
        pieces, missing = [self.data[:size]], size - len(self.data)
        self.data = self.data[size:]
        while missing > 0:  # what is much is put together once
            if not self.fill():
                raise EOFError("the server closed with %d bytes to come" % missing)
            pieces.append(self.data[:missing])
            self.data, missing = self.data[missing:], missing - len(self.data)
        return b"".join(pieces)

    def take_line(self):
        while b"\r\n" not in self.data:
            if not self.fill():
                raise EOFError("the server closed after %r" % self.data[-200:])
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def take_chunked(self):
        pieces = []
        while True:
            size = int(self.take_line(), 16)
            pieces.append(self.take(size))
            if self.take(2) != b"\r\n":
                raise ValueError("a chunk does not end with CRLF")
            if size == 0:
                return b"".join(pieces)

    def rest(self):
        while self.fill():
            pass
        taken, self.data = self.data, b""
        return taken

    def answer(self, is_head=False, with_interim=False):
        """The next answer, whole; interim ones (1xx) are skipped unless asked for."""
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                raise EOFError("the server closed after %r" % self.data[-200:])
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        answer = Answer(head)
        if answer.status < 200:
            return answer if with_interim else self.answer(is_head)
        if is_head or answer.status in (204, 304):
            return answer
        if answer.get("Transfer-Encoding") == "chunked":
            answer.body = self.take_chunked()
        elif answer.get("Content-Length") is not None:
            answer.body = self.take(int(answer.get("Content-Length")))
        else:
            answer.body = self.rest()
        return answer

    def ask(self, target, method="GET", headers=(), body=b""):
        head = "%s %s HTTP/1.1\r\nHost: test\r\n" % (method, target)
        head += "".join("%s: %s\r\n" % pair for pair in headers)
        if body:
            head += "Content-Length: %d\r\n" % len(body)
        self.send(head.encode("latin-1") + b"\r\n" + body)
        return self.answer(method == "HEAD")


def judge(client, want):
    """What is wrong, or None."""
    *statuses, fate = want.split()
    for status in statuses:
        got = client.answer()
        if str(got.status) != status:
            return "%d instead of %s" % (got.status, status)
    if fate == "open":
        client.send(AFTER)
        got = client.answer()
        return None if got.status == 200 else "%d for the next request" % got.status
    if fate == "close":
        rest = client.rest()
        return "more after the last answer: %r" % rest[:200] if rest else None
    return None if fate == "any" else "the table says neither open, close nor any"


def check_line(args, line):
    want, _, text = line.partition("|")
    client = Client(args.address, args.by)
    try:
        client.send(unescape(text.strip()))
        if args.half_close:
            client.half_close()
        return judge(client, want)
    except (OSError, EOFError, ValueError) as error:
        return "%s: %s" % (type(error).__name__, error)
    finally:
        client.close()


def check(args):
    failed = count = 0
    for line in sys.stdin:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        count += 1
        wrong = check_line(args, line)
        if wrong:
            failed += 1
            print("%s\n    %s" % (line[:160], wrong))
    print("%d of %d failed" % (failed, count))
    return 1 if failed or not count else 0


def send(args):
    client = Client(args.address, args.by)
    for piece in args.pieces:
        client.send(unescape(piece))
    if args.half_close:
        client.half_close()
    if args.answers:
        for _ in range(args.answers):
            answer = client.answer()
            sys.stdout.buffer.write(answer.head + b"\r\n\r\n" + answer.body)
    else:
        try:
            while client.fill():
                pass
        except ConnectionResetError:
            return 3
        finally:
            sys.stdout.buffer.write(client.data)
    client.close()
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["send", "check"])
    parser.add_argument("--by", type=int, default=0)
    parser.add_argument("--half-close", action="store_true")
    parser.add_argument("--answers", type=int, default=0)
    parser.add_argument("address")
    parser.add_argument("pieces", nargs="*")
    args = parser.parse_args()
    return check(args) if args.verb == "check" else send(args)


if __name__ == "__main__":
    sys.exit(main())
