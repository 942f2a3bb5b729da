#!/usr/bin/env python3
"""wrapped.py PORT WHAT: a client of tests/apps/wrapped that looks at the bytes. Prints ok."""
import gzip
import re
import socket
import sys
import zlib

PORT = int(sys.argv[1])


def connect(path, encoding="gzip", receive_buffer=None):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", PORT))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n".encode())
    return connection


class Answer:
    """An answer that is read as it comes."""

    def __init__(self, connection):
        self.file = connection.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.file.readline()
        self.decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def chunk(self):
        """The next one, decoded; None at the end."""
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        assert self.file.read(2) == b"\r\n"
        return self.decoder.decompress(data) if size else None

    def rest(self):
        text = b""
        while (data := self.chunk()) is not None:
            text += data
        assert self.decoder.eof and not self.decoder.unused_data
        return text


def sizes():
    for path in "/gzip/lines?size=100000", "/gzip/lines?size=100000&piece=700", "/gzip/declared":
        answer = Answer(connect(path))
        assert b"Content-Encoding: gzip" in answer.head
        size = int(re.search(rb"Content-Length: (\d+)\r", answer.head)[1])
        assert size < 1500, size
        assert len(gzip.decompress(answer.file.read(size))) in (100000, 20000)
    answer = Answer(connect("/gzip/lines?size=20000000"))
    assert len(answer.rest()) == 20000000


def stream():
    answer = Answer(connect("/gzip/stream"))
    assert answer.chunk() == b"first\n"
    Answer(connect("/gzip/go", "identity"))
    assert answer.rest() == b"second\n"


def few():
    """most = 1, which a response has that waits for /few/go."""
    first = Answer(connect("/few/stream"))
    assert first.chunk() == b"first\n"
    second = Answer(connect("/few/lines?size=500"))
    assert b"Content-Encoding" not in second.head and b"Vary: Accept-Encoding" in second.head
    assert b"Content-Length: 500" in second.head
    Answer(connect("/few/go", "identity"))
    assert first.rest() == b"second\n"
    assert b"Content-Encoding: gzip" in Answer(connect("/few/lines?size=500")).head


def hang_up():
    for path in "/gzip/endless", "/few/endless":
        connection = connect(path, receive_buffer=4096)
        answer = Answer(connection)
        assert b"Content-Encoding: gzip" in answer.head
        answer.chunk()
        answer.file.close()
        connection.close()
    # A worker that was waiting for them serves all the same.
    assert b"200 OK" in Answer(connect("/gzip/go", "identity")).head


{"sizes": sizes, "stream": stream, "few": few, "hang-up": hang_up}[sys.argv[2]]()
print("ok")
