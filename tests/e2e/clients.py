"""clients.py PORT N PATH...: N clients that ask for these paths in turn, each request on a connection of its own, until
SIGTERM; then says how many answers of each status there were, and how many requests were lost."""
import collections
import http.client
import json
import signal
import sys
import threading

port, count, paths = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
stop = threading.Event()
answers = collections.Counter()


def ask(path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return str(answer.status)
    except (OSError, http.client.HTTPException):
        return "lost"
    finally:
        connection.close()


def run():
    while True:
        for path in paths:
            answers[ask(path)] += 1
            if stop.wait(0.002):
                return


signal.signal(signal.SIGTERM, lambda *_: stop.set())
clients = [threading.Thread(target=run) for _ in range(count)]
for client in clients:
    client.start()
while not stop.wait(1):
    pass
for client in clients:
    client.join()
print(json.dumps(answers))
