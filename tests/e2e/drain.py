"""Connections of all kinds to tests/apps/lasting, and what becomes of them: drain.py CHECK, with PORT, CHAT, REEVECTL and
CONTROL (see the bats file) in the environment. Each check is a function, and fails with what was amiss."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"{str(got)[:300]} in place of {str(wanted)[:300]}")


def frame(data, opcode=1):
    data = data.encode() if isinstance(data, str) else data
    return bytes([0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0]) + data


class Raw:
    """A connection to the HTTP listener."""

    def __init__(self, buffer=None, address=None):
        host, port = (address or "127.0.0.1:" + os.environ["PORT"]).split(":")
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect((host, int(port)))
        self.got = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 20)
        self.got += data
        return data

    def take(self, size):
        while len(self.got) < size:
            if not self.more():
                raise EOFError(self.got)
        data, self.got = self.got[:size], self.got[size:]
        return data

    def until(self, mark):
        while mark not in self.got:
            if not self.more():
                raise EOFError(self.got)
        return self.take(self.got.index(mark) + len(mark))

    def end(self):
        """All that comes until the server ends its side."""
        while self.more():
            pass
        return self.got

    def widen(self):
        """From now on it reads fast."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class Chat(Raw):
    def __init__(self, address=None):
        super().__init__(address=address or os.environ["CHAT"])

    def say(self, text):
        self.send(text.encode() + b"\n")

    def hear(self):
        return self.until(b"\n").decode().rstrip("\n")


class WebSocket(Raw):
    def __init__(self, path="/socket"):
        super().__init__()
        self.send(HANDSHAKE.format(path).encode())
        self.until(b"\r\n\r\n")

    def say(self, text):
        self.send(frame(text))

    def hear(self):
        opcode, size = self.take(2)
        data = self.take(size)
        return int.from_bytes(data[:2], "big") if opcode & 15 == 8 else data.decode()

    def leave(self):
        self.send(frame(b"\x03\xe8", 8))
        equal(self.hear(), 1000)
        self.close()


def ctl(*arguments):
    command = [os.environ["REEVECTL"], "-j", "-s", os.environ["CONTROL"], *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def deploy(*arguments):
    """Its outcome."""
    return json.loads(ctl(*arguments).splitlines()[-1])["receipt"]["outcome"]


def stats():
    return json.loads(
        subprocess.run(
            ["curl", "-sS", "--unix-socket", os.environ["CONTROL"], "http://reeve/v1/stats"], stdout=subprocess.PIPE, check=True
        ).stdout
    )


def until(what, wanted):
    limit = time.monotonic() + 20
    while (got := what()) != wanted:
        if time.monotonic() > limit:
            raise AssertionError(f"still {got} in place of {wanted}")
        time.sleep(0.05)


def ask_all(connections):
    for connection in connections:
        connection.say("x")
    return {connection.hear() for connection in connections}


# ---- the checks ----


def told():
    """Whoever can be told is told, and that is a restart without a loss."""
    chat, deaf = Chat(), WebSocket()
    sockets = [WebSocket(), WebSocket("/served")]
    heard = []

    def answer(socket_of_one):
        heard.append(socket_of_one.hear())
        socket_of_one.send(frame(b"\x03\xf4", 8))
        socket_of_one.end()
        socket_of_one.close()

    threads = [threading.Thread(target=answer, args=(one,)) for one in sockets]
    for thread in threads:
        thread.start()
    equal(deploy("restart"), "done")
    for thread in threads:
        thread.join()
    equal(heard, [1012, 1012])
    equal(deaf.hear(), 1012)
    equal(chat.end(), b"farewell\n")


def last(master):
    """The connection is gone before its last callback has returned."""
    one = WebSocket()
    equal(ask_all([one]), {"build 1"})
    one.leave()
    os.kill(int(master), signal.SIGTERM)


def cut():
    """What has to be cut is told to the operator."""
    request = Raw()
    request.send(GET.replace(b"/ ", b"/slow "))
    until(lambda: stats()["requests"]["active"], 1)
    equal(deploy("restart"), "timed out")
    chat = Chat()
    chat.say("nap 3600")
    until(lambda: stats()["applications"]["lasting"]["messages_in"], 1)
    equal(deploy("restart"), "timed out")
    equal(chat.end(), b"farewell\n")


def made():
    """Connections that the application makes: all move, or are told; no drain waits for them."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["DIALLED"])
    listener.listen()
    listener.settimeout(20)

    def take():
        chat = Chat.__new__(Chat)
        chat.socket, chat.got = listener.accept()[0], b""
        chat.socket.settimeout(20)
        equal(chat.hear(), "hello")
        return chat

    equal(deploy("restart"), "done")
    chats = [take(), take()]
    equal(ask_all(chats), {"build 1"})
    build(2)
    equal(deploy("reload", "lasting"), "live")
    chats += [take(), take()]
    equal(ask_all(chats), {"build 2"})
    build(3, "-DSTAYS")
    equal(deploy("reload", "lasting"), "live")
    for chat in chats:
        equal(chat.end(), b"farewell\n")
        chat.close()
    chats = [take(), take()]
    begun = time.monotonic()
    restart = threading.Thread(target=deploy, args=("restart",))
    restart.start()
    for chat in chats:
        equal(chat.end(), b"farewell\n")
        chat.close()
    restart.join()
    if time.monotonic() - begun > 15:
        raise AssertionError("the drain waited for them")


def build(number, *flags):
    module = os.environ["MODULE"]
    top = os.environ["TOP"]
    subprocess.run(
        ["cc", "-O1", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-Bsymbolic-functions"]
        + [f"-I{top}/include", f"-DBUILD={number}", *flags, "-o", module + ".new", top + "/tests/apps/lasting/lasting.c"],
        check=True,
    )
    os.rename(module + ".new", module)


def canary():
    """A canary's connections go back when it is taken back, also those in the middle of a callback."""
    old = [Chat(), WebSocket(), Chat(), WebSocket()]
    equal(ask_all(old), {"build 1"})
    build(2, "-DFAILS")
    outcome = []
    order = ("reload", "lasting", "--canary", "1", "--for", "1.5", "--max-errors", "1%", "--min-requests", "5")
    thread = threading.Thread(target=lambda: outcome.append(deploy(*order)))
    thread.start()
    chat = Chat()
    while ask_all([chat]) != {"build 2"}:
        chat.close()
        chat = Chat()
    new = [chat, WebSocket(), Chat(), WebSocket()]
    equal(ask_all(new), {"build 2"})
    equal(ask_all(old), {"build 1"})
    for one in new:
        one.say("nap 2")
    for _ in range(12):
        request = Raw()
        request.send(GET)
        request.until(b"\r\n")
        request.close()
    thread.join()
    equal(outcome, ["rolled back"])
    equal({one.hear() for one in new}, {"build 2"})
    equal(ask_all(new + old), {"build 1"})


def upgraded():
    """Upgrades are counted once, have no request's time limit, and take along what is under way."""
    served = [WebSocket("/served"), WebSocket("/served")]
    time.sleep(0.5)  # longer than request_timeout, which has to pass
    equal(ask_all(served), {"x"})
    behind_filter = WebSocket("/filtered")
    equal(ask_all([behind_filter]), {"build 1"})
    behind_filter.leave()
    # Answers that nobody reads yet, an upgrade behind them, and frames behind that; a third connection, of three
    pipeline = Raw(buffer=4096)
    requests = 8000
    data = GET * requests + HANDSHAKE.format("/socket").encode() + frame("one") + frame("two")
    sender = threading.Thread(target=pipeline.send, args=(data,))
    sender.start()
    until(lambda: stats()["requests"]["total"] > 500, True)
    pipeline.widen()
    while not pipeline.got.endswith(b"\x81\x07build 1\x81\x07build 1"):
        pipeline.more()
    sender.join()
    equal(pipeline.got.count(b"HTTP/1.1 200 OK"), requests)
    equal(pipeline.got.count(b"HTTP/1.1 101 "), 1)
    for one in [*served, pipeline]:
        one.close()


def balanced():
    """However they come and go, in the end nothing is left."""
    upgrade = HANDSHAKE.format("/socket").encode()
    for i in range(60):
        one = Chat() if i % 2 else Raw()
        if i % 2:
            one.say("nap 0.01" if i % 3 else "x")
        else:
            one.send((GET, GET + upgrade + frame("nap 0.01"), upgrade[: i % len(upgrade)], upgrade + frame(b"", 8))[i // 2 % 4])
        if i % 5:
            one.close()
        else:
            one.reset()

    def left():
        figures = stats()
        connections, app = figures["connections"], figures["applications"]["lasting"]
        gone = connections["accepted"] - connections["closed"]
        open_now = [connections[kind] for kind in ("active", "idle", "chats", "websockets")]
        return [gone, *open_now, figures["requests"]["active"], app["held"], app["connections"]["open"]]

    until(left, [0] * 8)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
