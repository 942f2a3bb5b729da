"""client.py: a WebSocket client that sends exactly the frames it is told to, also those that no library would send, and
takes only what RFC 6455 and RFC 7692 allow a server to send: anything else is a Breach. It reads whatever comes while it
writes, so that a server which waits for its echo to be taken is not in its way. It never decides what a case means."""
import base64
import hashlib
import os
import select
import socket
import struct
import time
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Failed(Exception):
    """The case has failed; the text says what came instead."""


class Breach(Failed):
    """The server has sent what no server may send."""


def mask(data, key):
    size = len(data)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, claim=None, form=None):
    """One frame. claim: the length that it says it has; form: how many bits that is written with (7, 16, 64)."""
    length = len(payload) if claim is None else claim
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        head += bytes([bit | length])
    elif form == 16:
        head += struct.pack(">BH", bit | 126, length)
    else:
        head += struct.pack(">BQ", bit | 127, length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


def fragments(opcode, payload, size, rsv=0):
    """A message in frames of so many octets, as a list."""
    pieces = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(pieces) - 1
    return [frame(CONTINUATION if n else opcode, piece, fin=n == last, rsv=0 if n else rsv)
            for n, piece in enumerate(pieces)]


def close_frame(code=None, reason=b"", **more):
    return frame(CLOSE, (b"" if code is None else struct.pack(">H", code)) + reason, **more)


def is_valid_code(code):
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def brief(data):
    return repr(bytes(data)) if len(data) <= 40 else f"{bytes(data[:24])!r}... of {len(data)} octets"


def tell(event):
    """An event for people."""
    if event[0] == "close":
        return f"close {'without a code' if event[1] is None else event[1]}"
    return " ".join([event[0]] + [brief(part) if isinstance(part, (bytes, bytearray)) else str(part) for part in event[1:]])


class Client:
    """A connection. Events are tuples: ("text", octets), ("binary", octets), ("pong", octets), ("close", code, reason),
    and at last ("end", "eof" or "reset"); ("timeout",) when nothing came."""

    def __init__(self, url, timeout):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or 80
        self.path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        self.timeout = timeout
        self.sock = socket.create_connection((self.host, self.port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.poll = select.poll()
        self.buffer = bytearray()
        self.at = 0             # so much of the buffer is used up
        self.ended = None       # "eof" or "reset", once it was seen
        self.is_deaf = False    # the server takes nothing any more
        self.close_seen = None  # the server's close frame, as an event
        self.message = None     # of a fragmented message: opcode, is compressed, octets
        self.deflate = None     # a deflate.Context, when one was agreed upon
        self.notes = []         # what is allowed, but not as good as it could be

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # ---- octets

    def _wait(self, events, deadline):
        self.poll.register(self.sock, events)
        ready = self.poll.poll(max(0, deadline - time.monotonic()) * 1000)
        return ready[0][1] if ready else 0

    def _take(self):
        """What has come, into the buffer; false when nothing had."""
        try:
            piece = self.sock.recv(1 << 18)
        except BlockingIOError:
            return False
        except ConnectionError:
            self.ended = "reset"
            return True
        if not piece:
            self.ended = "eof"
        if self.at == len(self.buffer):
            self.buffer, self.at = bytearray(), 0
        self.buffer += piece
        return True

    def send(self, data, chop=0, pause=0.0):
        """All of it, in one piece or in chops of so many octets; no error when the server has gone: that is seen when
        reading."""
        for at in range(0, len(data), chop or len(data) or 1):
            self._send_piece(memoryview(data)[at:at + chop] if chop else memoryview(data))
            if pause:
                time.sleep(pause)

    def _send_piece(self, piece):
        deadline = time.monotonic() + self.timeout
        while piece and not self.is_deaf:
            try:
                piece = piece[self.sock.send(piece):]
                continue
            except BlockingIOError:
                pass
            except ConnectionError:
                self.is_deaf = True
                return
            wanted = select.POLLOUT | (select.POLLIN if self.ended is None else 0)
            ready = self._wait(wanted, deadline)
            if not ready:
                raise Failed(f"the server has read nothing for {self.timeout} s")
            if ready & ~select.POLLOUT and self.ended is None:
                self._take()
                deadline = time.monotonic() + self.timeout

    def _need(self, count, deadline):
        """Until so many octets are there; false at the end or when the time is over."""
        while len(self.buffer) - self.at < count:
            if self.ended is not None:
                return False
            if not self._wait(select.POLLIN, deadline):
                return False
            self._take()
        return True

    # ---- the handshake

    def ask(self, lines, extra=b""):
        """Sends a request of these lines, and what follows it; returns the status and the fields of the answer, whose
        names are in small letters and whose values are lists."""
        self.send("\r\n".join(lines + ["", ""]).encode("latin-1") + extra)
        deadline = time.monotonic() + self.timeout
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if not self._need(len(self.buffer) - self.at + 1, deadline):
                raise Failed(f"no answer to the handshake, but {self.ended or 'nothing'}")
        status, *rest = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        self.at = end + 4
        fields = {}
        for line in rest:
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), []).append(value.strip())
        return int(status.split()[1]), fields

    def request(self, key="dGhlIHNhbXBsZSBub25jZQ==", **change):
        """The lines of a good request; change: fields by name (with _ for -), None to leave one out, a list for more."""
        fields = {"Host": f"{self.host}:{self.port}", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        fields.update({name.replace("_", "-"): value for name, value in change.items()})
        lines = [f"GET {self.path} HTTP/1.1"]
        for name, values in fields.items():
            for value in values if isinstance(values, list) else [values]:
                if value is not None:
                    lines.append(f"{name}: {value}")
        return lines

    def upgrade(self, offer=None, extra=b"", **change):
        """A good handshake; returns the extensions that the server chose, as it wrote them."""
        key = base64.b64encode(os.urandom(16)).decode()
        status, fields = self.ask(self.request(key, **{"Sec_WebSocket_Extensions": offer} | change), extra)
        if status != 101:
            raise Failed(f"the handshake was answered {status}")
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        if fields.get("sec-websocket-accept") != [accept]:
            raise Breach(f"Sec-WebSocket-Accept is {fields.get('sec-websocket-accept')}, not {accept}")
        if [value.lower() for value in fields.get("upgrade", [])] != ["websocket"]:
            raise Breach(f"Upgrade is {fields.get('upgrade')}")
        if "upgrade" not in ", ".join(fields.get("connection", [])).lower():
            raise Breach(f"Connection is {fields.get('connection')}")
        chosen = ", ".join(fields.get("sec-websocket-extensions", []))
        if chosen and not offer:
            raise Breach(f"extensions that nobody offered: {chosen}")
        return chosen

    # ---- frames and events

    def _next_frame(self, deadline):
        """fin, rsv, opcode, payload; None at the end or when the time is over."""
        if not self._need(2, deadline):
            if self.ended and self.at != len(self.buffer):
                raise Breach(f"ended in the midst of a frame ({self.ended})")
            return None
        first, second = self.buffer[self.at], self.buffer[self.at + 1]
        length, size = second & 0x7F, 2
        if second & 0x80:
            raise Breach("a masked frame")
        if length >= 126:
            size = 4 if length == 126 else 10
            if not self._need(size, deadline):
                raise Breach(f"only a part of a frame's head came ({self.ended or 'and no more'})")
            length = int.from_bytes(self.buffer[self.at + 2:self.at + size], "big")
            if length < (126 if size == 4 else 65536):
                raise Breach(f"a length of {length} in {size - 2} octets")
        if not self._need(size + length, deadline):
            raise Breach(f"only {len(self.buffer) - self.at - size} of a frame's {length} octets came "
                         f"({self.ended or 'and no more'})")
        payload = bytes(memoryview(self.buffer)[self.at + size:self.at + size + length])
        self.at += size + length
        return bool(first & 0x80), first >> 4 & 7, first & 15, payload

    def _judge_frame(self, fin, rsv, opcode, payload):
        if self.close_seen:
            raise Breach("a frame after the close frame")
        if opcode not in NAMES and opcode != CONTINUATION:
            raise Breach(f"a frame with opcode {opcode}")
        if rsv and not (rsv == 4 and self.deflate and opcode in (TEXT, BINARY)):
            raise Breach(f"reserved bits {rsv:03b} in a frame with opcode {opcode}")
        if opcode >= CLOSE and (not fin or len(payload) > 125):
            raise Breach(f"a control frame in fragments, or with {len(payload)} octets")
        if opcode == CONTINUATION and self.message is None:
            raise Breach("a continuation of nothing")
        if opcode in (TEXT, BINARY) and self.message is not None:
            raise Breach("a new message within a fragmented one")

    def _close_event(self, payload):
        if len(payload) == 1:
            raise Breach("a close frame with one octet")
        code = int.from_bytes(payload[:2], "big") if payload else None
        if code is not None and not is_valid_code(code):
            raise Breach(f"a close frame with code {code}")
        try:
            reason = payload[2:].decode()
        except UnicodeDecodeError:
            raise Breach("a close frame whose reason is not UTF-8") from None
        self.close_seen = ("close", code, reason)
        return self.close_seen

    def next_event(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            got = self._next_frame(deadline)
            if got is None:
                return ("end", self.ended) if self.ended else ("timeout",)
            self._judge_frame(*got)
            fin, rsv, opcode, payload = got
            if opcode == CLOSE:
                return self._close_event(payload)
            if opcode == PONG:
                return ("pong", payload)
            if opcode == PING:  # a server may look whether we are there
                self.send(frame(PONG, payload))
                continue
            if opcode != CONTINUATION:
                self.message = (opcode, rsv == 4, [])
            self.message[2].append(payload)
            if fin:
                return self._message_event()

    def _message_event(self):
        opcode, is_compressed, pieces = self.message
        self.message = None
        data = b"".join(pieces)
        if is_compressed:
            data = self.deflate.inflate(data)
        if opcode == TEXT:
            try:
                data.decode()
            except UnicodeDecodeError:
                raise Breach(f"a text that is not UTF-8: {brief(data)}") from None
        return (NAMES[opcode], data)

    # ---- what a case expects

    def expect(self, *events):
        """These come next, in this order."""
        for number, want in enumerate(events):
            got = self.next_event()
            if got != want:
                where = f" (event {number + 1} of {len(events)})" if len(events) > 1 else ""
                raise Failed(f"{tell(got)} in place of {tell(want)}{where}")

    def expect_end(self):
        """The server has answered the close frame; now it is the one to end the connection."""
        got = self.next_event()
        if got == ("timeout",):
            raise Failed("the server does not end the connection after the close handshake")
        if got == ("end", "reset"):
            self.notes.append("the connection is reset after the close handshake")

    def close(self, code=1000, reason=b""):
        """Closes in order: our close frame, theirs with the same code, the end; nothing else may come."""
        self.send(close_frame(code, reason))
        self.expect_close({code})

    def expect_close(self, codes, before=()):
        for want in before:
            got = self.next_event()
            if got[0] == "close":
                self.notes.append(f"closes without {tell(want)} before that")
                break
            if got != want:
                raise Failed(f"{tell(got)} in place of {tell(want)}")
        got = self.close_seen or self.next_event()
        if got[0] != "close":
            raise Failed(f"{tell(got)} in place of the answer to our close frame")
        if got[1] not in codes:
            self.notes.append(f"the answer to our close frame is {tell(got)}")
        self.expect_end()

    def expect_failure(self, codes, before=()):
        """The server answers what came before the error and then fails the connection with one of these codes."""
        got = []
        while (event := self.next_event())[0] not in ("close", "end", "timeout"):
            got.append(event)
            if got != list(before)[:len(got)]:
                raise Failed(f"{tell(event)} in place of close {' or '.join(map(str, codes))}")
        if event == ("timeout",):
            raise Failed(f"the connection stays open in place of close {' or '.join(map(str, codes))}")
        if len(got) < len(before):
            self.notes.append(f"fails without {tell(before[len(got)])} before that")
        if event[0] == "end":
            self.notes.append(f"{event[1]} without a close frame")
            return
        if event[1] not in codes:
            raise Failed(f"{tell(event)} ({event[2]}) in place of {' or '.join(map(str, codes))}")
        # RFC 6455 7.1.7: the server may wait a moment for our close frame.
        self.send(close_frame(event[1]))
        if self.next_event() == ("timeout",):
            raise Failed("the server does not end the connection that it has failed")
