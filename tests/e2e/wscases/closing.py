"""closing.py: section 7 of the case list: the close handshake, what comes after it, and which close frames are valid."""
from case import Case, into, refused, text_of
from client import CLOSE, CONTINUATION, PING, TEXT, close_frame, frame, is_valid_code

CASES = []
case = into(CASES)
begin = frame(TEXT, b"fragment1", fin=False)
end = frame(CONTINUATION, b"fragment2")


def closed(name, title, sends, *before, codes=frozenset([1000])):
    """These frames, a close among them, are answered by these events and then by a close in order. RFC 6455 5.5.1 lets a
    server close at once, too."""
    def run(client):
        client.send(b"".join(sends))
        client.expect_close(codes, before)
    return Case(name, title, run)


def accepted(name, code, reason=b""):
    """A server answers with the code that it got; RFC 6455 5.5.1 leaves it another one."""
    told = f"code {code}" if code else "no code"
    told += f" and a reason of {len(reason)} octets" if reason else ""
    return closed(name, f"close with {told}: answered with the same", [close_frame(code, reason)],
                  codes={code, 1000} if code is None else {code})


hello = frame(TEXT, b"Hello")
CASES += [
    closed("7.1.1", "text, close: echoed, then closed", [hello, close_frame(1000)], ("text", b"Hello")),
    closed("7.1.2", "two close frames: one answer", [close_frame(1000)] * 2),
    closed("7.1.3", "a ping after the close: no pong", [close_frame(1000), frame(PING)]),
    closed("7.1.4", "a text after the close: no echo", [close_frame(1000), hello]),
    closed("7.1.5", "a close within a fragmented text: closed, no echo", [begin, close_frame(1000), end]),
]


@case("7.1.6", "a text of 256 KiB, close, ping: echoed and closed, no pong")
def big_then_close(client):
    payload = text_of(256 << 10)
    client.send(frame(TEXT, payload) + close_frame(1000) + frame(PING))
    client.expect_close({1000}, [("text", payload)])


CASES += [
    accepted("7.3.1", None),
    refused("7.3.2", "close with one octet", [frame(CLOSE, b"a")], 1002),
    accepted("7.3.3", 1000),
    accepted("7.3.4", 1000, "Auf Wiedersehen".encode()),
    accepted("7.3.5", 1000, b"*" * 123),
    refused("7.3.6", "close with 126 octets", [close_frame(1000, b"*" * 124)], 1002),
    refused("7.5.1", "close with a reason that is not UTF-8", [close_frame(1000, b"\xce\xba\xed\xa0\x80edited")],
            [1007, 1002]),
]
for number, code in enumerate([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                               4999], 1):
    assert is_valid_code(code)
    CASES.append(accepted(f"7.7.{number}", code))
for number, code in enumerate([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999], 1):
    assert not is_valid_code(code)
    CASES.append(refused(f"7.9.{number}", f"close with code {code}", [close_frame(code)], 1002))


def undefined(code):
    """What RFC 6455 7.4.2 has no word for: that it comes to an end in order is all."""
    def run(client):
        client.send(close_frame(code))
        client.expect_failure([1002, 1000])
    return run


CASES += [
    Case("7.13.1", "close with code 5000: close 1002 or 1000", undefined(5000)),
    Case("7.13.2", "close with code 65535: close 1002 or 1000", undefined(65535)),
]
