"""utf8.py: section 6 of the case list: texts that are UTF-8 and texts that are not, and how early that is noticed. The
octets are made from RFC 3629's table, by number, so that each edge of it is there."""
from case import OCTET, Case, echoed, refused
from client import CONTINUATION, PING, TEXT, Failed, fragments, frame, tell

GREEK = "κόσμε".encode()
MIXED = "Grüße-µ@ßöäüàá-UTF-8!!".encode()
BAD = GREEK + b"\xed\xa0\x80" + b"edited"           # half of a surrogate pair
FAR = b"\xf4\x90\x80\x80"                           # U+110000, the first beyond Unicode

CASES = []

# ---- 6.1 to 6.3: empty messages, fragments that cut characters

CASES += [
    echoed("6.1.1", "empty text", [frame(TEXT)], ("text", b"")),
    echoed("6.1.2", "text in three fragments, all empty",
           [frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)], ("text", b"")),
    echoed("6.1.3", "text in three fragments, the first and the last empty",
           [frame(TEXT, fin=False), frame(CONTINUATION, b"middle", fin=False), frame(CONTINUATION)],
           ("text", b"middle")),
    echoed("6.2.1", "valid text", [frame(TEXT, MIXED)], ("text", MIXED)),
    echoed("6.2.2", "valid text, cut between characters",
           [frame(TEXT, MIXED[:13], fin=False), frame(CONTINUATION, MIXED[13:])], ("text", MIXED)),
    echoed("6.2.3", "valid text in fragments of one octet", fragments(TEXT, MIXED, 1), ("text", MIXED)),
    echoed("6.2.4", "valid text of long characters in fragments of one octet", fragments(TEXT, GREEK, 1),
           ("text", GREEK)),
    refused("6.3.1", "a surrogate", [frame(TEXT, BAD)], 1007),
    refused("6.3.2", "a surrogate, in fragments of one octet", fragments(TEXT, BAD, 1), 1007),
]

# ---- 6.4: a server that is strict does not wait for the end of the message


def noticed_early(parts, is_one_frame):
    """Sends all but the last part, which completes the error, and expects the failure before that last part. A server
    that has not failed after two seconds is sent the rest, and has to fail then."""
    *early, late = parts
    whole = b"".join(parts)

    def run(client):
        if is_one_frame:
            raw = frame(TEXT, whole)
            cut = len(raw) - len(late)
            client.send(raw[:cut], **OCTET)
            rest = raw[cut:]
        else:
            client.send(frame(TEXT, early[0], fin=False) + frame(PING))
            client.expect(("pong", b""))  # the valid part is no reason to fail
            client.send(b"".join(frame(CONTINUATION, part, fin=False) for part in early[1:]))
            rest = frame(CONTINUATION, late)
        event = client.next_event(2)
        if event == ("timeout",):
            client.notes.append("is noticed at the end of the message only")
            client.send(rest)
            client.expect_failure([1007])
        elif event[:2] != ("close", 1007):
            raise Failed(f"{tell(event)} in place of close 1007")
    return run


for number, (parts, kind) in enumerate([([GREEK, FAR, b"edited"], "a character beyond Unicode"),
                                        ([GREEK + FAR[:1], FAR[1:2], FAR[2:] + b"edited"],
                                         "the octet that leads beyond Unicode")], 1):
    CASES.append(Case(f"6.4.{number}", f"{kind} in a fragment of its own: close 1007 before the last fragment",
                      noticed_early(parts, False)))
    CASES.append(Case(f"6.4.{number + 2}", f"{kind} within one frame: close 1007 before the frame's end",
                      noticed_early(parts, True)))

# ---- 6.5 to 6.23: each edge of the table


def old_form(code, size):
    """A number as a sequence of so many octets, as one could before RFC 3629: also too long ones, and up to 2^31."""
    octets = [0x80 | code >> 6 * n & 0x3F for n in range(size - 1)]
    lead = (0xFF00 >> size) & 0xFF
    return bytes([lead | code >> 6 * (size - 1)] + octets[::-1])


def pairs(firsts, seconds):
    return [old_form(first, 3) + old_form(second, 3) for first in firsts for second in seconds]


def prefixes(valid):
    return [valid[:n] for n in range(1, len(valid) + 1)]


HIGHEST = {1: 0x7F, 2: 0x7FF, 3: 0xFFFF, 4: 0x1FFFFF, 5: 0x3FFFFFF, 6: 0x7FFFFFFF}
LOWEST = {1: 0} | {size: HIGHEST[size - 1] + 1 for size in range(2, 7)}
FIRST = {size: old_form(LOWEST[size], size) for size in range(2, 7)} | {1: b"\0"}
LAST = {size: old_form(HIGHEST[size], size) for size in range(2, 7)} | {1: b"\x7f"}
INCOMPLETE = [FIRST[size][:-1] for size in range(2, 7)] + [LAST[size][:-1] for size in range(2, 7)]
SECTIONS = [
    ("6.5", "text", ["hello$world", "hello¢world", "hello€world", "hello𤭢world", "κόσμε"]),
    ("6.6", "prefix", prefixes(GREEK)),
    ("6.7", "first sequence of its length", [FIRST[size] for size in (1, 2, 3, 4)]),
    ("6.8", "first sequence of its length", [FIRST[size] for size in (5, 6)]),
    ("6.9", "last sequence of its length", [LAST[1], LAST[2], LAST[3], "\U0010ffff"]),
    ("6.10", "last sequence of its length", [LAST[size] for size in (4, 5, 6)]),
    ("6.11", "edge", ["\ud7ff", "\ue000", "\ufffd", "\U0010ffff", FAR]),
    ("6.12", "unexpected continuation", [b"\x80", b"\xbf"] + [(b"\x80\xbf" * 3)[:n] for n in range(2, 7)] +
     [bytes(range(0x80, 0xC0))]),
    ("6.13", "leads without continuation", [b"".join(bytes([lead]) + b" " for lead in range(first, end))
                                            for first, end in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC),
                                                               (0xFC, 0xFE))]),
    ("6.14", "last octet missing", INCOMPLETE),
    ("6.15", "last octets missing, one after the other", [b"".join(INCOMPLETE)]),
    ("6.16", "octet that is never there", [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    ("6.17", "'/' in too many octets", [old_form(0x2F, size) for size in range(2, 7)]),
    ("6.18", "the highest number in one octet too many", [old_form(HIGHEST[size - 1], size) for size in range(2, 7)]),
    ("6.19", "NUL in too many octets", [old_form(0, size) for size in range(2, 7)]),
    ("6.20", "half of a surrogate pair", [old_form(code, 3) for code in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80,
                                                                        0xDFFF)]),
    ("6.21", "surrogate pair", pairs((0xD800, 0xDB7F, 0xDB80, 0xDBFF), (0xDC00, 0xDFFF))),
    ("6.22", "non-character", [chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)]),
    ("6.23", "special character", [chr(code) for code in range(0xFFF9, 0x10000)]),
]


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


for section, kind, texts in SECTIONS:
    for number, text in enumerate(texts, 1):
        data = text if isinstance(text, bytes) else text.encode()
        shown = data.hex() if len(data) <= 12 else f"{data[:10].hex()}..."
        if is_utf8(data):
            CASES.append(echoed(f"{section}.{number}", f"{kind}, {shown}", [frame(TEXT, data)], ("text", data)))
        else:
            CASES.append(refused(f"{section}.{number}", f"{kind}, {shown}", [frame(TEXT, data)], 1007))
