"""comers.py HOST PORT: clients that connect anew for each request, from 8 threads, until they are refused. Prints what
became of each, once a kind: served, refused, or how it was lost."""
import socket
import sys
import threading

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
seen = set()
lock = threading.Lock()


def say(what):
    with lock:
        if what not in seen:
            seen.add(what)
            print(what, flush=True)


def come(address):
    try:
        client = socket.create_connection(address, timeout=10)
    except ConnectionRefusedError:
        return "refused"
    with client:
        try:
            client.sendall(REQUEST)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        except OSError as error:
            return "lost: " + str(error)
    return "served" if answer.startswith(b"HTTP/1.1 200 ") else "lost: " + repr(answer[:40])


def keep_coming(address):
    while (what := come(address)) != "refused":
        say(what)
    say(what)


threads = [threading.Thread(target=keep_coming, args=((sys.argv[1], int(sys.argv[2])),)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
