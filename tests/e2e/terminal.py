"""terminal.py FOLDER COLUMNSxROWS COMMAND...: runs COMMAND in a terminal of that size, and plays the terminal.

What it shows is in FOLDER/screen, a line a row, renewed as a whole whenever it changes; every byte that came is in
FOLDER/bytes, and FOLDER/rows tells how a row is drawn: "r" reverse, "b" bold, "." neither, a character each. FOLDER/orders is
a FIFO that takes, a line each:

    key TEXT         TEXT is typed; as in Python, "\\x1bOB" is the key that goes down
    size COLUMNSxROWS
    signal NAME      to the command: TERM, TSTP, CONT
    hang up          the terminal goes away

When the command has ended its exit status is in FOLDER/status (a signal's number is negative), and the terminal's
settings of before and after are in FOLDER/settings, a line each; then FOLDER/ended is there. FOLDER/stopped is there
once it was stopped."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

import pyte

folder, size, command = sys.argv[1], sys.argv[2], sys.argv[3:]


def columns_and_rows(text):
    return tuple(int(n) for n in text.split("x"))


def path(name):
    return os.path.join(folder, name)


def write(name, text):
    with open(path(name + ".new"), "w") as file:
        file.write(text)
    os.rename(path(name + ".new"), path(name))


def style(char):
    return "r" if char.reverse else "b" if char.bold else "."


def run_command(slave):
    for fd in 0, 1, 2:
        os.dup2(slave, fd)
    os.closerange(3, 64)
    os.execvp(command[0], command)


def lead(slave, ids):
    """The session's leader, as a shell is: the command has a process group of its own, and can be stopped."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(slave, os.getpid())
        for number in signal.SIGTTOU, signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)
        run_command(slave)
    os.write(ids, b"%d" % pid)
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            write("status", str(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)) + "\n")
            os._exit(0)
        write("stopped", "")


class Terminal:
    def __init__(self):
        columns, rows = columns_and_rows(size)
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.settings = [str(termios.tcgetattr(self.slave)[:4])]
        self.raw = open(path("bytes"), "wb", buffering=0)
        self.pids, ids = os.pipe()
        self.leader = os.fork()
        if self.leader == 0:
            os.close(self.master)
            lead(self.slave, ids)
        self.pid = int(os.read(self.pids, 32))

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def show(self):
        buffer = self.screen.buffer
        rows = ["".join(style(buffer[y][x]) for x in range(self.screen.columns)) for y in range(self.screen.lines)]
        write("rows", "\n".join(rows) + "\n")
        write("screen", "\n".join(line.rstrip() for line in self.screen.display) + "\n")

    def obey(self, order):
        verb, _, rest = order.partition(" ")
        if verb == "key":
            os.write(self.master, rest.encode().decode("unicode_escape").encode("latin-1"))
        elif verb == "size":
            self.resize(*columns_and_rows(rest))
            self.show()
        elif verb == "signal":
            os.kill(self.pid, getattr(signal, "SIG" + rest))
        elif verb == "hang":
            os.close(self.slave)
            os.close(self.master)
            self.master = None

    def read(self):
        data = os.read(self.master, 65536)
        self.raw.write(data)
        self.stream.feed(data)
        self.show()

    def run(self):
        os.mkfifo(path("orders"))
        orders = os.open(path("orders"), os.O_RDWR | os.O_NONBLOCK)
        rest = b""
        has_ended = False
        while not has_ended or (self.master is not None and select.select([self.master], [], [], 0)[0]):
            fds = [orders] + ([self.master] if self.master is not None else [])
            ready = select.select(fds, [], [], 0.02)[0]
            if self.master in ready:
                self.read()
            if orders in ready:
                rest += os.read(orders, 4096)
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self.obey(line.decode())
            has_ended = has_ended or os.waitpid(self.leader, os.WNOHANG)[0] != 0
        self.show()
        if self.master is not None:
            self.settings.append(str(termios.tcgetattr(self.slave)[:4]))
        write("settings", "\n".join(self.settings) + "\n")
        write("ended", "")


Terminal().run()
