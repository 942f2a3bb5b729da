#!/usr/bin/env python3
"""fake-control.py SOCKET SCRIPT: a control server that says what it was told to, and nothing else.

It is there for what the real one does only in bad moments: hanging up in the midst of a stream, dying, dribbling
bytes, answering with JSON that no reeve ever wrote. SCRIPT is JSON: {"METHOD PATH": [ANSWER...]}, "*" for any other
request; each request takes the next answer of its list, the last one again and again. An ANSWER is

    {"status": 404, "json": {...}}   a whole answer (status 200 unless said)
    {"lines": [LINE...]}             a stream: a JSON object a line, chunked
    {"raw": "TEXT"}                  TEXT as it is, head and all

and a LINE is an object to be sent, a string (sent as it is, with a line's end), or an action:

    {"_until": FILE}    wait until FILE is there
    {"_made": FILE}     make FILE, so that a test can wait for it
    {"_dribble": true}  from now on byte by byte
    {"_close": true}    hang up here, the stream unfinished
    {"_exit": true}     the whole server dies here
    {"_away": FILE}     hang up and take the socket away until FILE is there, as in an exec that takes long

What was asked is written to SOCKET.asked, one line a request: METHOD PATH BODY."""
import json
import os
import socket
import sys
import threading
import time


class Away(Exception):
    def __init__(self, until):
        super().__init__()
        self.until = until


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        more = conn.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    while len(body) < length:
        more = conn.recv(65536)
        if not more:
            return None
        body += more
    method, path, _ = lines[0].split(" ", 2)
    return method, path, body.decode("utf-8", "replace")


def send_lines(conn, lines):
    is_dribbling = False

    def send(data):
        if not is_dribbling:
            conn.sendall(data)
            return
        for i in range(len(data)):
            conn.sendall(data[i : i + 1])
            time.sleep(0.0005)

    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
    for line in lines:
        if isinstance(line, dict) and "_until" in line:
            wait_for(line["_until"])
        elif isinstance(line, dict) and "_made" in line:
            open(line["_made"], "w").close()
        elif isinstance(line, dict) and "_dribble" in line:
            is_dribbling = True
        elif isinstance(line, dict) and "_close" in line:
            return
        elif isinstance(line, dict) and "_exit" in line:
            os._exit(0)
        elif isinstance(line, dict) and "_away" in line:
            raise Away(line["_away"])
        else:
            text = line if isinstance(line, str) else json.dumps(line)
            data = text.encode("utf-8", "surrogateescape") + b"\n"
            send(b"%x\r\n%s\r\n" % (len(data), data))
    send(b"0\r\n\r\n")


def answer(conn, what):
    if "raw" in what:
        conn.sendall(what["raw"].encode("latin-1"))
    elif "lines" in what:
        send_lines(conn, what["lines"])
    else:
        body = json.dumps(what.get("json", {})).encode()
        conn.sendall(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (what.get("status", 200), len(body), body)
        )


class Server:
    def __init__(self, path, script):
        self.path, self.script, self.lock = path, script, threading.Lock()

    def next_answer(self, key):
        with self.lock:
            answers = self.script.get(key) or self.script.get("*") or [{"status": 404}]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def serve(self, conn):
        try:
            asked = read_request(conn)
            if asked is not None:
                with self.lock, open(self.path + ".asked", "a") as log:
                    log.write(" ".join(asked) + "\n")
                answer(conn, self.next_answer("%s %s" % asked[:2]))
        except Away as away:
            self.listener.close()
            os.unlink(self.path)
            conn.close()
            wait_for(away.until)
            self.listen()
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            conn.close()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)

    def run(self):
        self.listen()
        while True:
            try:
                self.listener.settimeout(0.05)
                conn, _ = self.listener.accept()
            except OSError:  # nobody came, or the socket is away for a while
                time.sleep(0.005)
                continue
            conn.settimeout(None)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()


def main():
    with open(sys.argv[2]) as file:
        Server(sys.argv[1], json.load(file)).run()


main()
