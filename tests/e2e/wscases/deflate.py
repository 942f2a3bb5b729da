"""deflate.py: sections 12 and 13 of the case list: messages of many sizes and kinds of data, compressed, and the offers.
D is what RFC 7692 says beside those: every window, offers that have to be declined, and streams that are odd or bad."""
import random
import zlib
from functools import cache

from case import OCTET, Case, into
from client import BINARY, CONTINUATION, PING, TEXT, Failed, fragments, frame, tell
from context import TAIL, Context, compressor

CASES = []
case = into(CASES)
PLAIN = "permessage-deflate"
KIB = 1 << 10
SIZES = [(16, 0), (64, 0), (256, 0), (KIB, 0), (4 * KIB, 0), (8 * KIB, 0), (16 * KIB, 0), (32 * KIB, 0), (64 * KIB, 0),
         (128 * KIB, 0), (8 * KIB, 256), (16 * KIB, 256), (32 * KIB, 256), (64 * KIB, 256), (128 * KIB, 256),
         (128 * KIB, KIB), (128 * KIB, 4 * KIB), (128 * KIB, 32 * KIB)]

# ---- data: made, not stored, the same each time


def words(dice, count):
    parts = "ba be bo da di do fa fü ga go ka ki la lö ma me na ni ra ru sa se ta tu wa wi".split()
    return ["".join(dice.choices(parts, k=dice.randint(1, 4))) for _ in range(count)]


@cache
def data_of(kind):
    """256 KiB of a kind, as octets; text where the kind is sent as text."""
    dice = random.Random(kind)
    size = 256 * KIB
    if kind == "picture":  # smooth, with noise in it
        return bytes((x * x // 700 + y * 3 // 5 + dice.getrandbits(3)) & 255 for y in range(512) for x in range(512))
    if kind == "archive":  # stretches that are known and stretches that are new, as in a PDF
        known = dice.randbytes(3000)
        pieces = []
        while sum(map(len, pieces)) < size:
            at = dice.randrange(2000)
            pieces.append(known[at:at + dice.randrange(1000)] if dice.random() < 0.3 else dice.randbytes(700))
        return b"".join(pieces)[:size]
    vocabulary = words(dice, 2000)
    pieces = []
    length = 0
    while length < size:
        a, b, c = dice.choices(vocabulary, k=3)
        number = dice.randrange(10000)
        piece = {"json": f'{{"id": {number}, "name": "{a}", "tags": ["{b}", "{c}"], "active": true}},\n',
                 "prose": f"{a} {b}, {c}; " if number % 9 else f"{a} {b}.\n",
                 "html": f'<li class="{a}"><a href="/{b}/{number}">{c}</a></li>\n'}[kind]
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces).encode()[:size]


KINDS = [("json", TEXT), ("picture", BINARY), ("prose", BINARY), ("html", TEXT), ("archive", BINARY)]


def pieces_of(kind, opcode, size, count):
    """count messages of at most so many octets, one after the other out of the data; a text is not cut within a
    character."""
    data, at = data_of(kind), 0
    for _ in range(count):
        piece = data[at:at + size]
        if opcode == TEXT:
            piece = piece.decode(errors="ignore").encode()
        yield piece
        at = (at + size) % (len(data) - size + 1)
        while opcode == TEXT and data[at] & 0xC0 == 0x80:
            at -= 1


# ---- 12 and 13


def agree(client, offer):
    """Whether the server chose to compress."""
    if not client.chosen:
        client.notes.append(f"declines {offer}")
        return False
    client.deflate = Context(client.chosen, offer)
    return True


def messages(name, title, offer, kind, opcode, size, fragment, is_large):
    """Some messages, each sent when the one before it has come back, as a text or as a binary."""
    octets = (4096 if is_large else 128) * KIB
    count = max(2, min(1000 if is_large else 12, octets // size))

    def run(client):
        if agree(client, offer):
            for piece in pieces_of(kind, opcode, size, count):
                packed = client.deflate.deflate(piece)
                client.send(b"".join(fragments(opcode, packed, fragment or len(packed) or 1, rsv=4)))
                client.expect(("text" if opcode == TEXT else "binary", piece))
        client.close()
    title += f", {count} of {size} octets" + (f" in fragments of {fragment}" if fragment else "") + ": echoed"
    CASES.append(Case(name, title, run, offer=offer, is_large=is_large))


def offer_of(*wishes):
    """Offers in order of preference, each (the server is to forget, its window's bits or 0)."""
    return ", ".join(PLAIN + "; client_max_window_bits" + ("; server_no_context_takeover" if is_to_forget else "") +
                     (f"; server_max_window_bits={bits}" if bits else "") for is_to_forget, bits in wishes)


OFFERS = [offer_of((False, 0)), offer_of((True, 0)), offer_of((False, 9)), offer_of((False, 15)), offer_of((True, 9)),
          offer_of((True, 15)), offer_of((True, 9), (True, 0), (False, 0))]

for is_large in (False, True):
    for section, (kind, opcode) in enumerate(KINDS, 1):
        for number, (size, fragment) in enumerate(SIZES, 1):
            messages(f"12.{section}.{number}", kind, PLAIN, kind, opcode, size, fragment, is_large)
    for section, offer in enumerate(OFFERS, 1):
        for number, (size, fragment) in enumerate(SIZES, 1):
            messages(f"13.{section}.{number}", f"offer {section}", offer, "json", TEXT, size, fragment, is_large)

# ---- D.1 to D.3: windows and contexts

for number, bits in enumerate(range(8, 16), 1):
    messages(f"D.1.{number}", f"the server's window of {bits} bits", f"{PLAIN}; server_max_window_bits={bits}", "json", TEXT,
             4 * KIB, 0, False)
    messages(f"D.2.{number}", f"our window of {bits} bits", f"{PLAIN}; client_max_window_bits={bits}", "json", TEXT,
             4 * KIB, 0, False)
for number, extra in enumerate(["server_no_context_takeover", "client_no_context_takeover",
                                "server_no_context_takeover; client_no_context_takeover",
                                'server_max_window_bits="10"; client_max_window_bits="9"'], 1):
    messages(f"D.3.{number}", extra, f"{PLAIN}; {extra}", "prose", BINARY, KIB, 0, False)

# ---- D.4 and D.5: offers that are declined, and the good ones among them


def negotiated(name, offer, is_chosen):
    def run(client):
        status, fields = client.ask(client.request(Sec_WebSocket_Extensions=offer))
        chosen = ", ".join(fields.get("sec-websocket-extensions", []))
        if status == 400:
            client.notes.append("the handshake is answered 400")
            return
        if status != 101 or chosen and not is_chosen:
            raise Failed(f"the answer is {status} {chosen}")
        if chosen:
            client.deflate = Context(chosen, GOOD)
        elif is_chosen:
            client.notes.append("declines the good one")
        client.send(frame(TEXT, b"Hello"))
        client.expect(("text", b"Hello"))
        client.close()
    CASES.append(Case(name, f"{offer}: {'one is chosen' if is_chosen else 'declined'}", run, is_raw=True))


GOOD = f"{PLAIN}; client_max_window_bits"
for number, extra in enumerate(["server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=010",
                                "server_max_window_bits=08", "server_max_window_bits", "client_max_window_bits=7",
                                "client_max_window_bits=16", "server_no_context_takeover=1",
                                "client_no_context_takeover=true", "unknown", "server_max_window_bits=10; "
                                "server_max_window_bits=10", "server_max_window_bits=-9"], 1):
    negotiated(f"D.4.{number}", f"{PLAIN}; {extra}", False)
negotiated("D.5.1", "x-unknown; a=1, permessage-unknown", False)
negotiated("D.5.2", f"x-unknown; a=1, {GOOD}", True)
negotiated("D.5.3", f"{PLAIN}; server_max_window_bits=99, {GOOD}", True)
negotiated("D.5.4", f"{GOOD}, {GOOD}", True)

# ---- D.6: streams that are odd, and fine


def stream(name, title, payload, *want, sends=None, chop=0):
    """A compressed payload as it is (or all these frames), and what comes of it."""
    def run(client):
        if agree(client, PLAIN):
            data = b"".join(sends) if sends else frame(TEXT, payload, rsv=4)
            client.send(data, **(OCTET if chop == 1 else {}))
            client.expect(*want)
        client.close()
    CASES.append(Case(name, f"{title}: echoed", run, offer=PLAIN))


def packed(data, level=6, flush=zlib.Z_SYNC_FLUSH):
    one = zlib.compressobj(level, zlib.DEFLATED, -15)
    out = one.compress(data) + one.flush(flush)
    return out[:-4] if flush != zlib.Z_FINISH else out


HELLO = ("text", b"Hello")
hello = packed(b"Hello")
halves = frame(TEXT, hello[:3], fin=False, rsv=4), frame(CONTINUATION, hello[3:])
stream("D.6.1", "a message that is not compressed", b"", HELLO, sends=[frame(TEXT, b"Hello")])
stream("D.6.2", "compressed and not, in turn", b"", HELLO, HELLO, HELLO, HELLO,
       sends=[frame(TEXT, hello, rsv=4), frame(TEXT, b"Hello")] * 2)
stream("D.6.3", "empty, as one octet", b"\x00", ("text", b""))
stream("D.6.4", "empty, as zlib makes it", packed(b""), ("text", b""))
stream("D.6.5", "a stored block", packed(b"Hello", level=0), HELLO)
stream("D.6.6", "a final block (BFINAL)", packed(b"Hello", flush=zlib.Z_FINISH) + b"\x00", HELLO)
stream("D.6.7", "a final block, twice", b"", HELLO, HELLO,
       sends=[frame(TEXT, packed(b"Hello", flush=zlib.Z_FINISH) + b"\x00", rsv=4)] * 2)
stream("D.6.8", "two blocks", packed(b"Hel") + TAIL + packed(b"lo"), HELLO)
stream("D.6.9", "two fragments with a ping between", b"", ("pong", b""), HELLO, sends=[halves[0], frame(PING), halves[1]])
stream("D.6.10", "octet by octet", b"", ("pong", b""), HELLO, sends=[halves[0], frame(PING), halves[1]], chop=1)
stream("D.6.11", "in fragments of one octet, with empty ones", b"", HELLO,
       sends=[frame(TEXT, b"", fin=False, rsv=4)] +
       [frame(CONTINUATION, hello[n:n + 1], fin=False) for n in range(len(hello))] + [frame(CONTINUATION)])
stream("D.6.12", "empty blocks before the data", (b"\x00" + TAIL) * 20 + hello, HELLO)

# ---- D.7: what is refused


def refused(name, title, sends, codes):
    def run(client):
        if agree(client, PLAIN):
            client.send(b"".join(sends))
            client.expect_failure(codes)
        else:
            client.close()
    CASES.append(Case(name, f"{title}: close {' or '.join(map(str, codes))}", run, offer=PLAIN))


def zeros(mebibytes):
    """So many MiB of zeros, in about a thousandth of that."""
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    unit = one.compress(bytes(1 << 20)) + one.flush(zlib.Z_FULL_FLUSH)
    return unit * (mebibytes - 1) + unit[:-4]


def second_of_two(data):
    """What is only understood after the same data has come once."""
    one = zlib.compressobj(6, zlib.DEFLATED, -15)
    one.compress(data) + one.flush(zlib.Z_SYNC_FLUSH)
    return (one.compress(data) + one.flush(zlib.Z_SYNC_FLUSH))[:-4]


refused("D.7.1", "RSV 4 in a continuation", [halves[0], frame(CONTINUATION, hello[3:], rsv=4)], [1002])
refused("D.7.2", "RSV 4 in a ping", [frame(PING, b"Hello", rsv=4)], [1002])
refused("D.7.3", "RSV 2 in a compressed text", [frame(TEXT, hello, rsv=6)], [1002])
refused("D.7.4", "a block of the kind that there is not", [frame(TEXT, b"\x07\x00", rsv=4)], [1007, 1002])
refused("D.7.5", "octets of chance", [frame(BINARY, random.Random(5).randbytes(500), rsv=4)], [1007, 1002])
refused("D.7.6", "a reference to before the beginning", [frame(TEXT, second_of_two(b"ab" * 50), rsv=4)], [1007, 1002])
refused("D.7.7", "a compressed text that is not UTF-8", [frame(TEXT, packed(b"\xce\xba\xff"), rsv=4)], [1007])
refused("D.7.8", "a compressed text that ends within a character", [frame(TEXT, packed(b"\xce"), rsv=4)], [1007])
refused("D.7.9", "a stored block whose length is wrong", [frame(TEXT, b"\x00\x05\x00\x00\x00Hello", rsv=4)], [1007, 1002])


@case("D.7.10", "256 MiB of zeros in 256 KiB: close 1009", offer=PLAIN)
def bomb(client):
    if agree(client, PLAIN):
        client.send(frame(BINARY, zeros(256), rsv=4))
        client.expect_failure([1009])
    else:
        client.close()


@case("D.7.11", "a compressed text whose last block is cut off: close 1007 or 1002", offer=PLAIN)
def cut_off(client):
    if agree(client, PLAIN):
        client.send(frame(TEXT, packed(b"Hello, Hello, Hello, Hello")[:-3], rsv=4))
        client.expect_failure([1007, 1002])
    else:
        client.close()


@case("D.7.12", "a compressed text without payload: nothing, or close 1007 or 1002", offer=PLAIN)
def no_payload(client):
    """There is no such stream, but an endpoint that takes it for an empty text does no harm."""
    if agree(client, PLAIN):
        client.send(frame(TEXT, b"", rsv=4))
        event = client.next_event()
        if event[:2] not in (("text", b""), ("close", 1007), ("close", 1002)):
            raise Failed(f"{tell(event)} in place of an empty text or a close")
        if event[0] == "close":
            return
    client.close()


def beyond(limit):
    """A message that inflates to one octet more than may be; see limits.beyond."""
    def run(client):
        if not agree(client, PLAIN):
            return
        client.send(frame(BINARY, packed(bytes(limit)), rsv=4))
        client.expect(("binary", bytes(limit)))
        client.send(frame(BINARY, packed(bytes(limit + 1)), rsv=4))
        client.expect_failure([1009])
    return [Case("L.4", f"{limit} zeros, compressed: echoed; one more: close 1009", run, offer=PLAIN)]
