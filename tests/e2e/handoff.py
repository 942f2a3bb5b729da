#!/usr/bin/env python3
"""handoff.py VERB ...: what clients see while the workers that hold their connections are replaced. A verb is one of the
functions at the end; its arguments are the command line's. Prints what the test is to compare; an AssertionError is a
failure."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from raw import Client

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def pid_of(answer):
    assert answer.status == 200, answer.status
    return int(re.fullmatch(rb"build 1 pid (\d+)\n", answer.body).group(1))


def kept(client, target="/"):
    """Asks once more on a connection that must stay; which process answered."""
    answer = client.ask(target)
    assert answer.get("Connection") is None, answer.head
    return pid_of(answer)


def connect(address, count):
    """So many connections, each used once."""
    clients = [Client(address) for _ in range(int(count))]
    return clients, {kept(client) for client in clients}


def begin_restart(ctl, control, *action):
    return subprocess.Popen([ctl, "-s", control, "-j", *(action or ["restart"])], stdout=subprocess.PIPE, text=True)


def end_restart(process):
    lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
    assert process.returncode == 0, (process.returncode, lines)
    return lines[-1]["verdict"]


def restart(ctl, control):
    return end_restart(begin_restart(ctl, control))


def wait_for_step(process, step):
    for line in process.stdout:
        if json.loads(line).get("step") == step:
            return
    raise AssertionError("the restart ended before that: " + step)


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid):
    return not os.path.exists("/proc/%d" % pid)


def stats(control):
    client = Client("unix:" + control)
    answer = client.ask("/v1/stats", headers=[("Connection", "close")])
    client.close()
    return json.loads(answer.body)


def is_closed(client):
    try:
        return client.rest() == b""
    except ConnectionResetError:
        return True


def print_pids(pids):
    print(*sorted(set(pids)), sep="\n")


# ---- the verbs ----


def idle(address, ctl, control, count, times=1):
    clients, before = connect(address, count)
    for _ in range(int(times)):
        verdict = restart(ctl, control)
        after = {kept(client) for client in clients}
        assert not before & after, (before, after)
        before = after
    print(verdict)
    print_pids(after)


def fresh(address, ctl, control, count):
    clients = [Client(address) for _ in range(int(count))]
    wait_until(lambda: stats(control)["connections"]["idle"] == int(count))
    print(restart(ctl, control))
    print_pids(kept(client) for client in clients)


def ended(address, count):
    clients, pids = connect(address, count)
    old = min(pids)
    os.kill(old, signal.SIGTERM)
    wait_until(lambda: is_gone(old))
    assert all(kept(client) != old for client in clients)


def parts(address, ctl, control, count):
    """Half a head, a pipeline and a bit, one byte, nothing, in turn; then the rest of it, while workers are replaced."""
    clients, _ = connect(address, count)
    begun = [REQUEST[:20], REQUEST * 5 + REQUEST[:7], REQUEST[:1], b""]
    rest = [REQUEST[20:], REQUEST[7:] + REQUEST, REQUEST[1:], REQUEST * 2]
    answers = [1, 7, 1, 2]
    for number, client in enumerate(clients):
        client.send(begun[number % 4])
    process = begin_restart(ctl, control)
    for number, client in enumerate(clients):
        client.by = number % 3  # 0: all at once
        client.send(rest[number % 4])
    for number, client in enumerate(clients):
        for _ in range(answers[number % 4]):
            pid_of(client.answer())
    print(end_restart(process))
    for client in clients:  # an answer too many would be taken for this one's, and be seen at the end
        client.by = 0
        kept(client)
    for client in clients:
        client.half_close()
        assert client.rest() == b""


def leavers(address, ctl, control, count):
    clients, _ = connect(address, count)
    process = begin_restart(ctl, control)
    for number, client in enumerate(clients):
        if number % 3 == 0:
            client.send(REQUEST)
            client.half_close()
            assert pid_of(client.answer()) and client.rest() == b""
        elif number % 3 == 1:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    print(end_restart(process))


def running(address, ctl, control, released):
    client, answers = Client(address), []
    old = kept(client)
    asking = threading.Thread(target=lambda: answers.append(client.ask("/?until=" + released)))
    asking.start()
    wait_until(lambda: stats(control)["requests"]["active"] == 1)
    process = begin_restart(ctl, control)
    wait_for_step(process, "draining")
    with open(released, "w", encoding="ascii"):
        pass
    asking.join()
    assert answers[0].get("Connection") is None, answers[0].head
    assert pid_of(answers[0]) == old
    print(old)
    print(end_restart(process))
    print_pids([kept(client)])


def scale(address, ctl, control, count):
    clients, pids = connect(address, count)
    subprocess.run([ctl, "-s", control, "scale", "1"], check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: sum(map(is_gone, pids)) >= len(pids) - 1)
    print_pids(kept(client) for client in clients)


def beyond(address, ctl, control, most):
    """All places are taken, and as many wait for one. The successor may take these before it gets the others."""
    clients, _ = connect(address, most)
    waiting = [Client(address) for _ in range(int(most))]
    for client in waiting:
        client.send(REQUEST)
    assert restart(ctl, control) == "done"
    for client in clients:
        kept(client)
        client.close()
    for client in waiting:
        pid_of(client.answer())


def ask_on(address, gap, is_over, ends):
    """One request after the other: each is answered, and the connection ends with an answer that says so, or not at all."""
    client = Client(address)
    try:
        while not is_over.wait(gap):
            answer = client.ask("/")
            pid_of(answer)
            if answer.get("Connection") == "close":
                assert client.rest() == b""
                ends.append("told")
                return
        ends.append("open")
    except Exception as error:  # pylint: disable=broad-except
        ends.append(repr(error))


def removed(kept_address, old_address, ctl, control, config, released):
    """A reload takes a listener away on which some ask all the time, some now and then, one waits and some are silent."""
    is_over, kept_ends, old_ends, answers = threading.Event(), [], [], []
    threads = [
        threading.Thread(target=ask_on, args=(address, gap, is_over, ends))
        for address, ends in ((kept_address, kept_ends), (old_address, old_ends))
        for gap in [0] * 6 + [0.01] * 6 + [0.1] * 6
    ]
    silent = connect(old_address, 4)[0] + [Client(old_address) for _ in range(4)]
    stayers, _ = connect(kept_address, 8)
    waiting = Client(old_address)
    threads.append(threading.Thread(target=lambda: answers.append(waiting.ask("/?until=" + released))))
    for thread in threads:
        thread.start()
    wait_until(lambda: stats(control)["requests"]["total"] > 500)
    with open(config, encoding="utf-8") as file:
        lines = [line for line in file if "old" not in line]
    with open(config, "w", encoding="utf-8") as file:
        file.writelines(lines)
    process = begin_restart(ctl, control, "reload", "--config")
    for client in silent:
        assert client.rest() == b""  # and no reset
    with open(released, "w", encoding="ascii"):
        pass
    print(end_restart(process))
    is_over.set()
    for thread in threads:
        thread.join()
    assert answers[0].get("Connection") == "close" and waiting.rest() == b"", answers[0].head
    for client in stayers:
        kept(client)
    print(*sorted(set(kept_ends)), *sorted(set(old_ends)), sep="\n")


def endless(address, ctl, control):
    """A client that is never idle: before one answer has come the next requests are there. (On a busy machine it may be
    for a moment: then it goes over to another worker, and is not told to close.)"""
    client, process = Client(address), None
    client.send(REQUEST.replace(b"/ ", b"/?ms=10 ") * 4)
    answer = client.answer()
    while answer.get("Connection") is None and (process is None or process.poll() is None):
        client.send(REQUEST.replace(b"/ ", b"/?ms=10 "))
        pid_of(answer)
        process = process or begin_restart(ctl, control)
        answer = client.answer()
    assert pid_of(answer)
    assert answer.get("Connection") is None or client.rest() == b""
    print(end_restart(process))


def stop(address, master):
    (busy, silent), _ = connect(address, 2)
    os.kill(int(master), signal.SIGTERM)
    answer = busy.ask("/")
    while answer.get("Connection") is None:  # until the signal has arrived
        answer = busy.ask("/")
    assert busy.rest() == b"" and silent.rest() == b""


def stop_amid(address, ctl, control, master, count):
    clients, _ = connect(address, count)
    process = begin_restart(ctl, control)
    wait_for_step(process, "draining")
    os.kill(int(master), signal.SIGTERM)
    assert all(is_closed(client) for client in clients)
    process.communicate()


def crowd(address, ctl, control, count):
    """Those that wait take the successor's descriptors: of those that are handed over some are lost, and closed."""
    clients, _ = connect(address, count)
    waiting = [Client(address) for _ in range(int(count))]
    print(restart(ctl, control))
    lost = 0
    for client in clients + waiting:
        try:
            kept(client)
        except (OSError, EOFError):
            assert is_closed(client)
            lost += 1
        client.close()
    assert 0 < lost < int(count), lost


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
