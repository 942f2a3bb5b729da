"""forks.py PID FILE: of the children that process PID makes from now on the first one is held before it does anything,
until this process ends. FILE is there once that is so; where no process may trace another one, this ends without it."""
import ctypes
import os
import sys

SEIZE, GETEVENTMSG, CONT, DETACH = 0x4206, 0x4201, 7, 17
TRACE_FORKS = 2 | 4 | 8  # fork, vfork, clone
ptrace = ctypes.CDLL(None).ptrace
parent, held = int(sys.argv[1]), 0
stopped = set()  # children that their parent has not told of yet


def child_of_event():
    child = ctypes.c_ulong()
    ptrace(GETEVENTMSG, parent, None, ctypes.byref(child))
    return child.value


if ptrace(SEIZE, parent, None, TRACE_FORKS) != 0:
    sys.exit(1)
open(sys.argv[2], "w").close()
while True:
    pid, status = os.waitpid(-1, 0x40000000)  # __WALL
    if not os.WIFSTOPPED(status):
        continue
    if pid != parent:
        stopped.add(pid)
    elif status >> 16 == 0:
        ptrace(CONT, pid, None, os.WSTOPSIG(status))
    else:
        held = held or child_of_event()
        ptrace(CONT, pid, None, 0)
    for pid in stopped - {held} if held else ():
        ptrace(DETACH, pid, None, 0)
        stopped.remove(pid)
