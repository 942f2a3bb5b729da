"""Plays the service manager (systemd) for the tests.

usage: manager.py hear SOCKET FILE                  binds SOCKET and appends each word that it hears to FILE, a datagram
                                                    a line, its own lines joined by blanks
       manager.py give NAME... -- COMMAND...        runs COMMAND with a listening socket for each NAME, on a port of
                                                    127.0.0.1 that the kernel chose, and writes "NAME PORT" to stdout first
       manager.py forbid COMMAND...                 runs COMMAND so that no memory can be made executable after it was
                                                    writable (MemoryDenyWriteExecute=yes); exit status 77: not possible here
"""
import ctypes
import os
import socket
import sys


def hear(path, out):
    words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    words.bind(path)
    with open(out, "a", buffering=1) as file:
        while True:
            file.write(words.recv(65536).decode().replace("\n", " ") + "\n")


def give(args):
    names, command = args[: args.index("--")], args[args.index("--") + 1 :]
    sockets = []
    for name in names:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        one.listen(128)
        sockets.append(one)
        print(name, one.getsockname()[1], flush=True)
    high = [os.dup2(one.fileno(), 50 + i) for i, one in enumerate(sockets)]
    for i, fd in enumerate(high):
        os.dup2(fd, 3 + i, inheritable=True)
        os.close(fd)
    os.environ.update(LISTEN_FDS=str(len(names)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(names))
    os.execvp(command[0], command)


def forbid(command):
    PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.exit(77)
    os.execvp(command[0], command)


if __name__ == "__main__":
    verb, rest = sys.argv[1], sys.argv[2:]
    {"hear": lambda: hear(*rest), "give": lambda: give(rest), "forbid": lambda: forbid(rest)}[verb]()
