#!/usr/bin/env python3
"""impostor.py GARBAGE SILENT ODD: where a database would listen in the first folder, something that talks nonsense; in the
second, something that takes connections and says nothing; in the third, a database of odd habits, by the statement's text:
    slow    fails, and needs half a second more before it is ready
    COMMIT  is ready, and says nothing else
any other fails at once."""
import os
import random
import socket
import struct
import sys
import threading
import time


def listen(folder):
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.join(folder, ".s.PGSQL.5432"))
    server.listen(64)
    return server


def talk_nonsense(server):
    pieces = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", bytes(64), b"R\x7f\xff\xff\xff", b"E\0\0\0\5x", random.randbytes(4096)]
    for piece in pieces * 1000:
        connection = server.accept()[0]
        try:
            connection.recv(4096)
            connection.sendall(piece)
        except OSError:
            pass
        connection.close()


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def error(code, text):
    return message(b"E", b"SERROR\0C" + code + b"\0M" + text + b"\0Rodd\0\0")


READY = message(b"Z", b"I")


def answer(connection, statement):
    if b"slow" in statement:
        connection.sendall(error(b"23505", b"the slow one"))
        time.sleep(0.5)
    elif b"BEGIN" in statement or b"INSERT" in statement:
        connection.sendall(message(b"C", b"BEGIN\0"))
    elif b"COMMIT" not in statement:
        connection.sendall(error(b"42601", b"the quick one"))
    connection.sendall(READY)


def take(connection, size):
    data = connection.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise OSError
    return data


def talk_oddly(connection):
    try:
        take(connection, struct.unpack("!i", take(connection, 4))[0] - 4)
        connection.sendall(message(b"R", bytes(4)) + READY)
        statement = b""
        while True:
            kind, size = struct.unpack("!ci", take(connection, 5))
            body = take(connection, size - 4)
            if kind == b"P":
                statement = body
            elif kind == b"S":
                answer(connection, statement)
    except OSError:
        connection.close()


def be_odd(server):
    while True:
        threading.Thread(target=talk_oddly, args=(server.accept()[0],), daemon=True).start()


garbage, silent, odd = (listen(folder) for folder in sys.argv[1:4])
threading.Thread(target=talk_nonsense, args=(garbage,), daemon=True).start()
threading.Thread(target=be_odd, args=(odd,), daemon=True).start()
kept = []
while True:
    kept.append(silent.accept()[0])
