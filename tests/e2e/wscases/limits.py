"""limits.py: sections 9 and 10 of the case list: large messages, whole, in fragments and in chops, and many small ones.
By default they are as large as a quick run allows; --large makes them as large as the list has them."""
from case import Case, echo_of, text_of
from client import BINARY, TEXT, Failed, fragments, frame, tell

CASES = []
KIB = 1 << 10
MIB = 1 << 20


def payload_of(opcode, size):
    return text_of(size) if opcode == TEXT else bytes(range(256)) * (size // 256) + bytes(size % 256)


def large(name, opcode, size, fragment=None, chop=0, **more):
    """The payload is made when the case runs: all of them at once would be much."""
    def run(client):
        payload = payload_of(opcode, size)
        frames = fragments(opcode, payload, fragment or size or 1)
        client.send(b"".join(frames), chop=chop)
        client.expect(echo_of(opcode, payload))
        client.close()
    title = f"{'text' if opcode == TEXT else 'binary'} of {told(size)}"
    title += f" in fragments of {told(fragment)}" if fragment else ""
    title += f" in chops of {chop} octets" if chop else ""
    CASES.append(Case(name, f"{title}: echoed", run, **more))


def told(size):
    for unit, name in (MIB, "MiB"), (KIB, "KiB"):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} octets"


def many(name, opcode, size, count, **more):
    """Each is sent when the one before it has come back."""
    def run(client):
        payload = payload_of(opcode, size)
        for _ in range(count):
            client.send(frame(opcode, payload))
            client.expect(echo_of(opcode, payload))
        client.close()
    CASES.append(Case(name, f"{count} of {size} octets, {'text' if opcode == TEXT else 'binary'}: echoed", run, **more))


for section, opcode in ((1, TEXT), (2, BINARY)):
    for number, size in enumerate([64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB], 1):
        large(f"9.{section}.{number}", opcode, size, is_large=size > MIB)

# The same message in fragments from 64 octets to 4 MiB, in chops from 64 to 2048 octets, and a thousand small ones: in the
# quick run less of each, with the same names.
for is_large in (False, True):
    for section, opcode in ((3, TEXT), (4, BINARY)):
        for number in range(1, 10):
            large(f"9.{section}.{number}", opcode, 4 * MIB if is_large else 128 * KIB, fragment=64 << 2 * (number - 1),
                  is_large=is_large)
    for section, opcode in ((5, TEXT), (6, BINARY)):
        for number in range(1, 7):
            large(f"9.{section}.{number}", opcode, MIB if is_large else 64 * KIB, chop=32 << number, is_large=is_large)
    for section, opcode in ((7, TEXT), (8, BINARY)):
        for number, size in enumerate([0, 16, 64, 256, 1024, 4096], 1):
            many(f"9.{section}.{number}", opcode, size, 1000 if is_large else 50, is_large=is_large)

large("10.1.1", TEXT, 64 * KIB, fragment=1300)


def beyond(limit):
    """Cases for a server whose messages may have so many octets; not in the list, and run with --limit only."""
    def whole(client):
        payload = b"x" * limit
        client.send(frame(TEXT, payload))
        client.expect(("text", payload))
        client.close()

    def head(client):
        client.send(frame(BINARY, claim=limit + 1, form=64) if limit > 65534 else
                    frame(BINARY, claim=limit + 1, form=16))
        client.expect_failure([1009])

    def in_fragments(client):
        pieces = fragments(TEXT, b"x" * (limit + 1), max(1, limit // 4))
        client.send(b"".join(pieces[:-1]))
        event = client.next_event(0.2)
        if event != ("timeout",):
            raise Failed(f"{tell(event)} before the limit is reached")
        client.send(pieces[-1])
        client.expect_failure([1009])

    return [Case("L.1", f"a text of the limit, {limit} octets: echoed", whole),
            Case("L.2", f"a frame's head that claims {limit + 1} octets: close 1009", head),
            Case("L.3", f"a text of {limit + 1} octets in fragments: close 1009 at the last one", in_fragments)]
