#!/usr/bin/env python3
"""odd-json.py REEVECTL FOLDER: has fake-control.py answer with what no reeve ever wrote, and asserts that every verb ends
with an exit status of its own: members missing, of other types, too many, too large. $RECEIPT is a receipt to begin
with. The same every time: the seed is fixed."""
import json
import os
import random
import subprocess
import sys
import time

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake-control.py")
RECEIPT = json.loads(os.environ["RECEIPT"])
# A control byte could command the terminal; a colour is none of the server's.
ODDITIES = [None, True, False, -1, 0, 1e300, -1e300, 0.5, "", "x" * 3000, "\x1b[2J\x07\n\t\x7f", "%s%n%d", [], {},
            [1, None, [[]]], {"": None, "a": {"b": []}}, [{}, {"app": 7}]]
TURNS = 6  # answers a path


def odd(value, chance):
    if random.random() < chance:
        return random.choice(ODDITIES)
    if isinstance(value, dict):
        return {k: odd(v, chance) for k, v in value.items() if random.random() > chance / 2}
    if isinstance(value, list):
        return [odd(v, chance) for v in value] * random.choice([1, 1, 1, 2, 30])
    return value


FIGURES = {"generation": 2, "requests": 4, "errors": 1, "error_rate": 0.1, "crashes": 1, "hangs": 1, "p50": 1, "p95": 1,
           "p99": 1}
STEPS = [{"step": step, "app": "hello", "generation": 2, "worker": 0, "incarnation": 1, "ok": False, "seconds": 0.1,
          "reason": "r", "pid": 3, "address": "a", "change": "c", "binary": "b", "old": FIGURES, "new": FIGURES,
          "seconds_left": 3, "deploy": 7, "action": "x"}
         for step in ["begin", "preflight", "prepare", "canary", "take back", "commit", "ready", "listener", "exec"]]
VERDICT = {"verdict": "live", "deploy": 7, "workers": [1], "seconds": 1, "reason": "r", "receipt": RECEIPT}
APP = {"name": "hello", "module": "m", "mount": "/", "generation": 3, "requests": 4, "latency": {"p50": 1},
       "responses": {"2xx": 1}, "generations": [{"generation": 1, "held": 3, "by": [
           {"kind": "k", "site": "s", "count": 3, "waits_in": "w"}]}]}
APPS = {"applications": {"hello": APP}}
STATUS = dict(APPS, version="1", pid=3, uptime=4, sockets=[{"address": "a", "name": "b", "queue": 3}],
              processes={"idle": 3}, workers=[{"id": 1, "incarnation": 2, "status": "idle", "last_spawn": 3, "rss": 3,
                                               "connections": {"open": 3}}])
CONFIG = {"a": 1, "app": {"x": {"y": 2}}, "listen": [{"address": 1}]}
VERBS = ["show 7", "history", "history hello", "apps", "status", "stats", "workers", "show hello", "config", "scale 1",
         "reload", "rollback hello", "restart", "_apps", "version", "cancel"]


def inside_out(value):
    """Lists where objects were, and the other way round, one level down."""
    return {key: list(part.values()) if isinstance(part, dict) else
            {str(i): item for i, item in enumerate(part)} if isinstance(part, list) else part for key, part in value.items()}


def script(chance):
    def answers(value):
        return [{"json": inside_out(value)}] + [{"json": odd(value, chance)} for _ in range(TURNS - 1)]

    def stream():
        rubbish = ["", "no json", "[]", "7", '{"a":', '"\\u0000"', "[" * 2000]
        return {"lines": [odd(step, chance) for step in STEPS] + rubbish + [odd(VERDICT, chance)]}

    # What is asked for after a stream without a verdict has to come to an end.
    return {"GET /v1/deploys/7": answers(RECEIPT) + [{"status": 404}], "GET /v1/deploys": answers({"deploys": [RECEIPT, RECEIPT]}),
            "GET /v1/apps": answers(APPS), "GET /v1/status": answers(STATUS), "GET /v1/stats": answers(STATUS),
            "GET /v1/workers": answers(STATUS), "GET /v1/apps/hello": answers(APP), "GET /v1/config": answers(CONFIG),
            "POST /v1/workers/scale": answers({"workers": 1, "before": 2}),
            "POST /v1/deploys/cancel": answers({"cancelled": 7}), "GET /v1/deploys/0": [{"status": 404}],
            "*": [stream() for _ in range(TURNS * 2)] + [{"status": 404}]}


def ask(reevectl, path, verb):
    done = subprocess.run([reevectl, "-s", path, "-t", "2"] + verb.split(), capture_output=True, timeout=30, check=False)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert 0 <= done.returncode <= 7, "%s: %d\n%s" % (verb, done.returncode, text)
    assert "\x1b" not in text and "\x07" not in text, "%s: a control byte got through: %r" % (verb, text)


def main():
    reevectl, folder = sys.argv[1:]
    random.seed(3)
    for chance in [0.02, 0.1, 0.4]:
        path = os.path.join(folder, "odd%d" % (100 * chance))
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump(script(chance), file)
        with subprocess.Popen([sys.executable, FAKE, path, path + ".json"], stderr=subprocess.DEVNULL) as server:
            try:
                while not os.path.exists(path):
                    time.sleep(0.01)
                for verb in VERBS:
                    for _ in range(TURNS):
                        ask(reevectl, path, verb)
            finally:
                server.kill()


main()
