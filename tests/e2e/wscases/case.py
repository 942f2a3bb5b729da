"""case.py: what a case is, and the two kinds of which most are made: octets that are echoed, and octets that make the
server fail the connection."""
from dataclasses import dataclass
from typing import Callable

from client import TEXT, Client, Failed

OCTET = dict(chop=1, pause=0.0002)  # so that the server really reads octet by octet


@dataclass
class Case:
    name: str                       # as "5.12"
    title: str                      # what is sent, and what is expected
    run: Callable                   # gets a client; raises Failed, or adds to its notes
    offer: str = None               # extensions
    is_large: bool = False          # runs with --large only
    is_raw: bool = False            # makes the handshake itself


def into(cases):
    """The decorator that makes a case of a function: case = into(CASES), then @case("7.1.6", "title") above it."""
    def case(name, title, **more):
        def add(run):
            cases.append(Case(name, title, run, **more))
            return run
        return add
    return case


def send_all(client, sends, chop):
    """chop: None for all frames in one write, 0 for a write a frame, 1 for a write an octet."""
    if chop is None:
        client.send(b"".join(sends))
    else:
        for data in sends:
            client.send(data, **(OCTET if chop == 1 else dict(chop=chop)))


def echoed(name, title, sends, *want, chop=None, **more):
    """These frames are answered by these events, and the connection is fine after that."""
    def run(client):
        send_all(client, sends, chop)
        client.expect(*want)
        client.close()
    told = {None: "", 0: ", a write a frame", 1: ", octet by octet"}.get(chop, f", in chops of {chop}")
    what = "echoed" if want and want[-1][0] != "pong" else "answered" if want else "nothing comes"
    return Case(name, f"{title}{told}: {what}", run, **more)


def refused(name, title, sends, codes, *before, chop=None, **more):
    """These frames make the server fail the connection with one of these codes, after these events."""
    codes = [codes] if isinstance(codes, int) else codes

    def run(client):
        send_all(client, sends, chop)
        client.expect_failure(codes, before)
    told = {None: "", 0: ", a write a frame", 1: ", octet by octet"}.get(chop, f", in chops of {chop}")
    return Case(name, f"{title}{told}: close {' or '.join(map(str, codes))}", run, **more)


def run_case(case, url, timeout):
    """"OK", "NON-STRICT" or "FAILED", and what there is to say."""
    try:
        with Client(url, timeout) as client:
            if not case.is_raw:
                client.chosen = client.upgrade(case.offer)
            case.run(client)
            return ("NON-STRICT", "; ".join(client.notes)) if client.notes else ("OK", "")
    except Failed as error:
        return "FAILED", str(error)
    except Exception as error:  # no connection, or the case itself is wrong: one case's failure all the same
        return "FAILED", repr(error)


def text_of(size):
    """A text of so many octets that is not the same everywhere, of two-octet characters and others."""
    unit = "Grüße, Ωmega, 0123456789; ".encode()
    data = (unit * (size // len(unit) + 1))[:size]
    while True:  # the last character may be cut
        try:
            data.decode()
            return data + b"." * (size - len(data))
        except UnicodeDecodeError:
            data = data[:-1]


def echo_of(opcode, payload):
    return ("text" if opcode == TEXT else "binary", payload)

