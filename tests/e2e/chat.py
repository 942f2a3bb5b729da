"""A client of line protocols: chat.py CHECK ADDRESS...: makes one of the checks below, and fails with what was amiss.

Each check is a function; an address is "127.0.0.1:8082". What is waited for is read for, or asked for until it is so."""
import re
import socket
import sys
import time


class Chat:
    def __init__(self, address, buffer=None):
        host, port = address.split(":")
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def say(self, *lines):
        self.send("".join(line + "\r\n" for line in lines))

    def more(self):
        data = self.socket.recv(1 << 20)
        self.got += data
        return data

    def line(self):
        data = self.got
        while b"\n" not in data:
            data = self.more()
            if not data:
                return "the end" if not self.got else self.got.decode() + "<the end>"
        line, self.got = self.got.split(b"\n", 1)
        return line.decode().rstrip("\r")

    def ask(self, *lines):
        self.say(*lines)
        return self.line()

    def widen(self):
        """From now on it reads fast."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def end(self):
        """The server has ended its side, or reset; what came before."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            self.got += b"<reset>"
        return self.got.decode()

    def expect(self, *lines):
        for line in lines:
            equal(self.line(), line)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got[:300]!r} in place of {wanted[:300]!r}")


def until(what, wanted):
    """Asks until the answer matches."""
    limit = time.monotonic() + 20
    while not re.search(wanted, got := what()):
        if time.monotonic() > limit:
            raise AssertionError(f"still {got!r} in place of {wanted!r}")
        time.sleep(0.02)
    return got


def counted(data):
    return f"{len(data)} bytes, sum {sum(data)}"


def callbacks(port):
    chat, other = Chat(port), Chat(port)
    equal(chat.ask("echo one"), "one")
    for byte in "echo two\r\necho three\r\n":
        chat.send(byte)
    chat.expect("two", "three")
    # A length in the middle of lines, with a terminator inside it.
    chat.send("count 7\r\nab\r\ncd\necho four\r\n")
    chat.expect(counted(b"ab\r\ncd\n"), "four")
    # A callback that waits keeps what follows from its own connection only.
    chat.say("nap 0.2", "echo five")
    equal(other.ask("echo six"), "six")
    chat.expect("slept", "five")
    # A callback that reads on.
    chat.say("read")
    chat.send("one\r\n..\r\n.\r")
    chat.send("\n1234echo seven\r\n")
    chat.expect(counted(b"one\r\n.."), "1234", "seven")
    who = "{}:{} at talk,".format(*chat.socket.getsockname())
    equal(chat.ask("who")[:len(who)], who)
    chat.say("each")
    chat.expect("hey", "2")
    equal(other.line(), "hey")
    # Failing, closing, cutting.
    equal(chat.ask("fail", "echo never"), "sorry: EDOM")
    equal(chat.end(), "")
    other.say("echo last", "close", "echo never")
    equal(other.end(), "last\n")
    chat = Chat(port)
    chat.say("cut")
    assert chat.end() in ("", "<reset>")
    # A reset that comes together with input is noticed: see nothing_left.
    for _ in range(20):
        chat = Chat(port)
        chat.send("remember me\r\nhalf a line")
        chat.reset()
    # A half-closed client gets all its answers.
    chat = Chat(port)
    chat.say("nap 0.05", "produce 300000", "echo end")
    chat.socket.shutdown(socket.SHUT_WR)
    equal(chat.end(), "slept\n" + "p" * 300000 + "\nend\n")


def producers(port):
    chat, watch = Chat(port, 4096), Chat(port)
    closed, begun = map(int, re.search(r"producers (\d+)/(\d+)", watch.ask("notes")).groups())
    equal(str(closed), str(begun))
    chat.say("produce 10000000", "echo behind", "produce 5", "echo last")
    # It is paused long before its end.
    until(lambda: watch.ask("notes"), f"producers {closed}/{begun + 2} ")
    time.sleep(0.2)
    until(lambda: watch.ask("notes"), f"producers {closed}/{begun + 2} ")
    chat.widen()
    equal(chat.line(), "p" * 10000000)
    chat.expect("behind", "ppppp", "last")
    until(lambda: watch.ask("notes"), f"producers {begun + 2}/{begun + 2} ")
    chat.say("produce 10000000", "produce 10000000")
    chat.more()
    chat.reset()
    until(lambda: watch.ask("notes"), f"producers {begun + 4}/{begun + 4} ")
    chat = Chat(port, 4096)
    chat.say("write 10000000", "echo behind")
    chat.more()
    chat.widen()
    equal(chat.line(), "w" * 10000000)
    chat.expect("behind")


def limits(port):
    """max_input = 1000, max_output = 200000, idle = 0.3"""
    watch = Chat(port)
    chat = Chat(port)
    equal(chat.ask("echo " + "x" * 995), "x" * 995)
    chat.send("x" * 1100)
    equal(chat.end(), "sorry: EMSGSIZE\n")
    chat = Chat(port)
    chat.send("count 1001\r\n" + "x" * 1001)
    equal(chat.end(), "sorry: EMSGSIZE\n")
    # One that does not read is given up, with a reset: what it has is not all there was.
    chat = Chat(port, 4096)
    chat.say("flood 10000000")
    until(lambda: Chat(port).ask("notes"), "given up 1/1$")
    assert chat.end().endswith("<reset>")
    # A flood of lines that are not read for: the same.
    chat = Chat(port, 4096)
    chat.socket.setblocking(False)
    line = b"echo " + b"y" * 900 + b"\r\n"
    try:
        for _ in range(100000):
            chat.socket.send(line * 20)
            time.sleep(0.001)
    except (BlockingIOError, ConnectionResetError, BrokenPipeError):
        pass
    until(lambda: Chat(port).ask("notes"), "given up 2/2$")
    chat.close()
    # Silence, but not that of a callback.
    chat = Chat(port)
    chat.say("nap 0.8")
    equal(chat.end(), "slept\nsorry: ETIMEDOUT\n")
    equal(watch.end(), "sorry: ETIMEDOUT\n")
    # A callback that waits for nobody is cancelled.
    watch = Chat(port)
    before = int(re.search(r"cancelled (\d+)", watch.ask("notes"))[1])
    chat = Chat(port)
    chat.say("nap 3600")
    until(lambda: Chat(port).ask("each"), "hey")
    chat.reset()
    until(lambda: Chat(port).ask("notes"), f"cancelled {before + 1}")


def served(port):
    """Coroutine style, max_input = 1000"""
    chat = Chat(port)
    chat.expect("hello")
    equal(chat.ask("echo one"), "one")
    chat.say("read")
    chat.send("x\r\n.\r\n1234")
    chat.expect(counted(b"x"), "1234")
    chat.say("nap 0.05", "echo two", "produce 300000", "echo three")
    chat.socket.shutdown(socket.SHUT_WR)
    equal(chat.end(), "slept\ntwo\n" + "p" * 300000 + "\nthree\n")
    chat = Chat(port)
    chat.expect("hello")
    chat.send("x" * 1100)
    equal(chat.end(), "")
    chat = Chat(port)
    chat.expect("hello")
    chat.reset()
    until(lambda: (Chat(port).ask("notes", "notes"), "")[0], "hello")


def outgoing(port, other, path):
    chat = Chat(port)
    equal(chat.ask(f"relay {other} echo there"), "hello")
    equal(chat.ask(f"relay {port} echo there and back"), "there and back")
    equal(chat.ask(f"relay localhost:{port.split(chr(58))[1]} echo by name"), "by name")
    equal(chat.ask(f"relay unix:{path} echo unix"), "unix")
    equal(chat.ask("relay 127.0.0.1:1 echo nobody"), "ECONNREFUSED")
    equal(chat.ask(f"call {port} echo called"), "called")
    equal(chat.ask(f"call {port} cut"), "")
    equal(chat.ask("call 127.0.0.1:1 echo nobody"), "ECONNREFUSED")


def tour(port, other):
    """Cancelled once at each wait there is, until there is none left."""
    for nth in range(1, 60):
        client = Chat(port)
        client.say(f"tour {nth} {other}")
        client.socket.shutdown(socket.SHUT_WR)
        answer = client.end()
        if not answer.endswith("left 0\n"):
            break
    else:
        raise AssertionError("there is no end to it")


def linekv(port):
    chat = Chat(port)
    equal(chat.ask("set one 7\r\nab\r\n\0cd"), "STORED")
    chat.say("get one")
    chat.expect("VALUE one 7", "ab", "\0cd")
    equal(chat.ask("text two", "first", "..second", "."), "STORED")
    chat.say("get two")
    chat.expect("VALUE two 14", "first", ".second", "")
    equal(chat.ask("set one 3\r\nabcd"), "ERROR the value is longer than SIZE")
    equal(chat.ask("text long", *["x" * 1000] * 20, "."), "ERROR the value is too large")
    equal(chat.ask("get long"), "NONE")
    assert chat.ask("nonsense").startswith("ERROR there is set")
    equal(chat.ask("text nul", "a\0b", ".\0", "."), "STORED") # the line is not just a dot
    chat.say("get nul", "delete nul")
    chat.expect("VALUE nul 6", "a\0b", "\0", "", "DELETED")
    assert chat.ask("get").startswith("ERROR there is set")
    assert chat.ask("get " + "k" * 65).startswith("ERROR there is set")
    # With line feeds alone, and all at once.
    chat.send("set three 1\n3\nget three\ndelete three\ndelete three\n")
    chat.expect("STORED", "VALUE three 1", "3", "DELETED", "NONE")
    # Other connections, and with them other workers, learn it.
    for _ in range(20):
        until(lambda: Chat(port).ask("get two"), "VALUE two 14")
        until(lambda: Chat(port).ask("get three"), "NONE")
    chat.say("stats")
    figures = {}
    while (line := chat.line()) != "END":
        figures[line.split()[1]] = int(line.split()[2])
    equal(str((figures["keys"], figures["bytes"])), "(2, 21)")
    equal(chat.ask("quit"), "BYE")
    equal(chat.end(), "")
    chat = Chat(port)
    equal(chat.ask("set big 999999"), "ERROR SIZE is a number up to 16384")
    equal(chat.end(), "")
    chat = Chat(port)
    chat.send("x" * 20000)
    equal(chat.end(), "ERROR the line is too long\r\n")


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](*sys.argv[2:])
    except AssertionError as failure:
        sys.exit(f"{sys.argv[1]}: {failure}")
