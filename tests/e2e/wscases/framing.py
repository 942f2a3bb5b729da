"""framing.py: sections 1 to 5 of the case list: sizes, pings, reserved bits, reserved opcodes, fragments. F is what RFC
6455 5 says of frames beside those."""
from case import Case, echo_of, echoed, refused, text_of
from client import BINARY, CONTINUATION, PING, PONG, TEXT, Failed, close_frame, frame, tell

HELLO = ("text", b"Hello")
hello = frame(TEXT, b"Hello")
ping = frame(PING)

CASES = []

# ---- 1: sizes

for section, opcode, kind in (("1.1", TEXT, "text"), ("1.2", BINARY, "binary")):
    for number, (size, chop) in enumerate([(0, None), (125, None), (126, None), (127, None), (128, None), (65535, None),
                                           (65536, None), (65536, 997)], 1):
        payload = text_of(size) if opcode == TEXT else bytes(n * 7 & 255 for n in range(size))
        CASES.append(echoed(f"{section}.{number}", f"{kind} of {size} octets", [frame(opcode, payload)],
                            echo_of(opcode, payload), chop=chop))

# ---- 2: pings and pongs

LONG = b"\xfe" * 125
TEN = [b"payload-%d" % n for n in range(10)]


def ten_pings(chop):
    """RFC 6455 5.5.3 lets a server answer the last of several pings only."""
    def run(client):
        client.send(b"".join(frame(PING, payload) for payload in TEN), chop=chop, pause=0.0002 if chop else 0)
        want = [("pong", payload) for payload in TEN]
        got = []
        while not got or got[-1] != want[-1]:
            got.append(client.next_event())
            if got[-1] not in want or got != sorted(set(got), key=want.index):
                client.expect(want[len(got) - 1])
        if got != want:
            client.notes.append(f"{len(got)} pongs for 10 pings")
        client.close()
    return run


CASES += [
    echoed("2.1", "ping without payload", [ping], ("pong", b"")),
    echoed("2.2", "ping with a text", [frame(PING, b"Hello, world!")], ("pong", b"Hello, world!")),
    echoed("2.3", "ping with octets that are no UTF-8", [frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
           ("pong", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
    echoed("2.4", "ping of 125 octets", [frame(PING, LONG)], ("pong", LONG)),
    refused("2.5", "ping of 126 octets", [frame(PING, LONG + b"\xfe")], 1002),
    echoed("2.6", "ping of 125 octets", [frame(PING, LONG)], ("pong", LONG), chop=1),
    echoed("2.7", "unasked pong without payload", [frame(PONG)]),
    echoed("2.8", "unasked pong with payload", [frame(PONG, b"unasked")]),
    echoed("2.9", "unasked pong, then a ping", [frame(PONG, b"unasked"), frame(PING, b"asked")], ("pong", b"asked")),
    Case("2.10", "10 pings in one write: 10 pongs in their order", ten_pings(0)),
    Case("2.11", "10 pings, octet by octet: 10 pongs in their order", ten_pings(1)),
]

# ---- 3: reserved bits, with no extension agreed upon

CASES += [
    refused("3.1", "text with RSV 1", [frame(TEXT, b"Hello", rsv=1)], 1002),
    refused("3.2", "text, text with RSV 2, ping", [hello, frame(TEXT, b"Hello", rsv=2), ping], 1002, HELLO),
    refused("3.3", "text, text with RSV 3, ping", [hello, frame(TEXT, b"Hello", rsv=3), ping], 1002, HELLO, chop=0),
    refused("3.4", "text, text with RSV 4, ping", [hello, frame(TEXT, b"Hello", rsv=4), ping], 1002, HELLO, chop=1),
    refused("3.5", "binary with RSV 5", [frame(BINARY, b"\x00\xff\xfe", rsv=5)], 1002),
    refused("3.6", "ping with RSV 6", [frame(PING, b"Hello", rsv=6)], 1002),
    refused("3.7", "close with RSV 7", [close_frame(1000, rsv=7)], 1002),
]

# ---- 4: reserved opcodes

for section, first, kind in (("4.1", 3, "data"), ("4.2", 11, "control")):
    CASES += [
        refused(f"{section}.1", f"reserved {kind} opcode {first}", [frame(first)], 1002),
        refused(f"{section}.2", f"reserved {kind} opcode {first + 1} with payload",
                [frame(first + 1, b"reserved")], 1002),
        refused(f"{section}.3", f"text, reserved {kind} opcode {first + 2}, ping",
                [hello, frame(first + 2), ping], 1002, HELLO),
        refused(f"{section}.4", f"text, reserved {kind} opcode {first + 3} with payload, ping",
                [hello, frame(first + 3, b"reserved"), ping], 1002, HELLO, chop=0),
        refused(f"{section}.5", f"text, reserved {kind} opcode {first + 4} with payload, ping",
                [hello, frame(first + 4, b"reserved"), ping], 1002, HELLO, chop=1),
    ]

# ---- 5: fragments

BOTH = ("text", b"fragment1fragment2")
begin = frame(TEXT, b"fragment1", fin=False)
go_on = frame(CONTINUATION, b"fragment2", fin=False)
end = frame(CONTINUATION, b"fragment2")
lone_end = frame(CONTINUATION, b"nothing to continue")
lone_part = frame(CONTINUATION, b"nothing to continue", fin=False)
asked = frame(PING, b"between")


def fragments_with_pings(is_waiting):
    """Five fragments with a ping after the second and the fourth."""
    first = b"".join([frame(TEXT, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2", fin=False),
                      frame(PING, b"ping1")])
    second = b"".join([frame(CONTINUATION, b"fragment3", fin=False), frame(CONTINUATION, b"fragment4", fin=False),
                       frame(PING, b"ping2")])
    last = frame(CONTINUATION, b"fragment5")

    def run(client):
        if is_waiting:
            client.send(first)
            client.expect(("pong", b"ping1"))
            client.send(second)
            client.expect(("pong", b"ping2"))
            client.send(last)
        else:
            client.send(first + second + last)
            client.expect(("pong", b"ping1"), ("pong", b"ping2"))
        client.expect(("text", b"".join(b"fragment%d" % n for n in range(1, 6))))
        client.close()
    return run


CASES += [
    refused("5.1", "ping in two fragments", [frame(PING, b"fragment1", fin=False), end], 1002),
    refused("5.2", "pong in two fragments", [frame(PONG, b"fragment1", fin=False), end], 1002),
]
for number, chop in enumerate((None, 0, 1)):
    CASES += [
        echoed(f"5.{3 + number}", "text in two fragments", [begin, end], BOTH, chop=chop),
        echoed(f"5.{6 + number}", "text in two fragments, a ping between", [begin, asked, end],
               ("pong", b"between"), BOTH, chop=chop),
        refused(f"5.{9 + number}", "a last fragment of nothing, then a text", [lone_end, hello], 1002, chop=chop),
        refused(f"5.{12 + number}", "a fragment of nothing, then a text", [lone_part, hello], 1002, chop=chop),
    ]
CASES += [
    refused("5.15", "text in two fragments, then a fragment of nothing, then a text", [begin, end, lone_part, hello],
            1002, BOTH),
    refused("5.16", "twice: a fragment of nothing, then a text in two", [lone_part, begin, end] * 2, 1002),
    refused("5.17", "twice: a last fragment of nothing, then a text in two", [lone_end, begin, end] * 2, 1002),
    refused("5.18", "a text within a fragmented text", [begin, hello], 1002),
    Case("5.19", "five fragments, pings between, each pong waited for: echoed", fragments_with_pings(True)),
    Case("5.20", "five fragments, pings between, all at once: echoed after the pongs", fragments_with_pings(False)),
]

# ---- F: what else RFC 6455 5.1 and 5.2 say


def only_a_head(claim, codes):
    """What a frame's head claims is judged before its payload has come."""
    def run(client):
        client.send(frame(BINARY, b"", claim=claim, form=64))
        client.expect_failure(codes)
    return run


def too_long_a_form(opcode, size, form):
    """RFC 6455 5.2: a length is written in as few octets as it needs."""
    def run(client):
        client.send(frame(opcode, b"x" * size, form=form))
        event = client.next_event()
        if event == ("text" if opcode == TEXT else "pong", b"x" * size):
            client.notes.append("is answered")
            client.close()
        elif event[:2] != ("close", 1002):
            raise Failed(f"{tell(event)} in place of close 1002")
    return run


CASES += [
    refused("F.1", "a text that is not masked", [frame(TEXT, b"Hello", masked=False)], 1002),
    refused("F.2", "text, then a ping that is not masked", [hello, frame(PING, masked=False)], 1002, HELLO),
    Case("F.3", "a length of 5 in 16 bits: close 1002", too_long_a_form(TEXT, 5, 16)),
    Case("F.4", "a length of 5 in 64 bits: close 1002", too_long_a_form(TEXT, 5, 64)),
    Case("F.5", "a length of 65535 in 64 bits: close 1002", too_long_a_form(TEXT, 65535, 64)),
    Case("F.6", "a head that claims 2^63 octets: close 1002 or 1009", only_a_head(1 << 63, [1002, 1009])),
    Case("F.7", "a head that claims 2^62 octets: close 1009", only_a_head(1 << 62, [1009])),
    Case("F.8", "a ping with a length of 5 in 16 bits: close 1002", too_long_a_form(PING, 5, 16)),
    refused("F.9", "a binary within a fragmented text", [begin, frame(BINARY, b"\x00")], 1002),
    echoed("F.10", "a binary in four fragments, two of them empty",
           [frame(BINARY, b"", fin=False), frame(CONTINUATION, b"ab", fin=False),
            frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, b"cd")], ("binary", b"abcd")),
    echoed("F.11", "100 texts in one write", [frame(TEXT, b"%d" % n) for n in range(100)],
           *[("text", b"%d" % n) for n in range(100)]),
    echoed("F.12", "a text in fragments, a ping and an unasked pong between",
           [begin, asked, frame(PONG, b"unasked"), go_on, asked, end],
           ("pong", b"between"), ("pong", b"between"), ("text", b"fragment1fragment2fragment2"), chop=1),
]
