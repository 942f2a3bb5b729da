#!/usr/bin/env python3
"""odd-server.py: an HTTP service that behaves as the path says: rightly, oddly, or not at all.

    odd-server.py [UNIX-SOCKET]

The first line that it prints is its port; then one line for each thing that happens: `open N` a connection, `GET /path N`
a request on it, `close N` the client has closed it, `end N` the service itself has."""
import os
import socket
import sys
import threading
import time

count = 0
lock = threading.Lock()

# Sent as they are, whatever the request; then the connection is closed, or with "+" kept.
ANSWERS = {
    "/plain": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain+",
    "/no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok+",
    "/until-close": b"HTTP/1.1 200 OK\r\n\r\nall of it",
    "/http10": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok+",
    "/http10-keep": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok+",
    "/says-close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok+",
    "/keeps-briefly": b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok+",
    "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\none\r\n5\r\n two!\r\n0\r\nA: b\r\n\r\n+",
    "/204": b"HTTP/1.1 204 No Content\r\n\r\n+",
    "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n+",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok+",
    "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n+",
    # What is not an answer
    "/garbage": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "/http2": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/http09": b"<html>hello</html>",
    "/bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "/bare-lf-later": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok",
    "/folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    "/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "/same-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "/length-list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "/length-sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "/length-huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    "/both-framings": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/coding10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/space-in-name": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "/nul": b"HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nok",
    "/upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "/loose-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
    # What ends too soon
    "/close": b"",
    "/half-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "/half-body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!",
    "/half-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf!",
    "/no-last-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    # What is too much
    "/huge-head": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "/huge-line": b"HTTP/1.1 200 " + b"x" * 100000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "/many-lines": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"Content-Length: 2\r\n\r\nok",
    "/interim-flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/large": b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9000000,
    "/large-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                     (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 9 + b"0\r\n\r\n",
    "/large-until-close": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9000000,
    # Bytes behind the answer, which must not become the next one
    "/and-more": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil+",
}


def say(*words):
    with lock:
        print(*words, flush=True)


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.buffer, self.asked = sock, number, b"", 0

    def receive(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.receive():
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = dict((k.lower(), v.strip()) for k, v in (l.split(":", 1) for l in lines[1:]))
        return lines[0].split(" "), fields

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.receive():
                raise ConnectionError
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.receive():
                raise ConnectionError
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def body(self, fields):
        if "chunked" not in fields.get("transfer-encoding", ""):
            return self.exactly(int(fields.get("content-length", 0)))
        data = b""
        while size := int(self.line(), 16):
            data += self.exactly(size)
            self.exactly(2)
        self.line()
        return data

    def answer(self, body, status=b"200 OK", fields=b""):
        self.sock.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body))

    def watch(self):
        """Until the client closes."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        return False

    # Each answers one request, and says whether the connection goes on.

    def serve(self, method, target, fields):
        path, _, query = target.partition("?")
        self.asked += 1
        if path in ANSWERS:
            self.body(fields)
            data = ANSWERS[path]
            self.sock.sendall(data[:-1] if data.endswith(b"+") else data)
            return data.endswith(b"+")
        return getattr(self, path[1:].replace("-", "_"))(method, query, fields)

    def echo(self, method, query, fields):
        lines = "".join("%s: %s\n" % pair for pair in sorted(fields.items()))
        body = self.body(fields)
        self.answer(b"" if method == "HEAD" else ("%s %s\n%s\n" % (method, query, lines)).encode() + body)
        return method != "HEAD"

    def mirror(self, method, query, fields):
        self.answer(self.body(fields))
        return True

    def which(self, method, query, fields):
        """On which connection, and the how many-th request on it."""
        self.body(fields)
        self.answer(b"connection %d request %d\n" % (self.number, self.asked))
        return True

    def then_close(self, method, query, fields):
        """Answers as if it went on, and closes when a second request comes, without a word."""
        self.body(fields)
        if self.asked > 1:
            return False
        self.answer(b"connection %d\n" % self.number)
        return True

    def never(self, method, query, fields):
        return self.watch()

    def slowly(self, method, query, fields):
        """One byte of the head after another, for ever."""
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nA: ")
        while True:
            self.sock.sendall(b"x")
            time.sleep(0.05)

    def stall(self, method, query, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")
        return self.watch()

    def endless(self, method, query, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self.sock.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def endless_extension(self, method, query, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=")
        while True:
            self.sock.sendall(b"x" * 4096)

    def refuse(self, method, query, fields):
        """Answers before it has read the body, and keeps quiet until the client goes."""
        self.answer(b"no\n", b"413 Content Too Large", b"Connection: close\r\n")
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(1):
            time.sleep(0.05)
        return False

    def refuse_and_close(self, method, query, fields):
        """The same, and slams the door: unread bytes make a reset of it."""
        self.answer(b"no\n", b"413 Content Too Large", b"Connection: close\r\n")
        return False

    def want(self, method, query, fields):
        """Says that it wants the body, and tells whether it had come unasked."""
        unasked = bool(self.buffer)
        self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.answer(b"%d unasked %d\n" % (len(self.body(fields)), unasked))
        return True

    def redirect(self, method, query, fields):
        status, _, where = query.partition(",")
        self.body(fields)
        self.answer(b"", ("%s Look There" % status).encode(), ("Location: %s\r\n" % where).encode())
        return True

    def loop(self, method, query, fields):
        self.answer(b"", b"302 Found", b"Location: /loop\r\n")
        return True

    def wait(self, method, query, fields):
        time.sleep(float(query))
        self.answer(b"waited\n")
        return True

    def run(self):
        say("open", self.number)
        why = "close"
        try:
            while got := self.head():
                (method, target, _), fields = got
                say(method, target, self.number)
                why = "close"
                if not self.serve(method, target, fields):
                    why = "end" if target not in ("/never", "/stall") else "close"
                    break
        except OSError:
            pass
        self.sock.close()
        say(why, self.number)


def main():
    global count
    if len(sys.argv) > 1:
        server = socket.socket(socket.AF_UNIX)
        server.bind(sys.argv[1])
        server.listen(128)
        say(sys.argv[1])
    else:
        server = socket.create_server(("127.0.0.1", 0), backlog=128)
        say(server.getsockname()[1])
    while True:
        sock, _ = server.accept()
        count += 1
        threading.Thread(target=Connection(sock, count).run, daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        os._exit(0)
