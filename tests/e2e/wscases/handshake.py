"""handshake.py: H, the opening handshake of RFC 6455 4.2: what is accepted in which spelling, and how the rest is
answered. Not in the case list, which begins after it."""
from case import Case
from client import Failed, frame

CASES = []
TEXT = frame(1, b"Hello")
HELLO = ("text", b"Hello")


def accepted(number, title, extra=b"", **change):
    def run(client):
        client.upgrade(extra=extra, **change)
        if not extra:
            client.send(TEXT)
        client.expect(HELLO)
        client.close()
    CASES.append(Case(f"H.1.{number}", f"{title}: accepted", run, is_raw=True))


def rejected(number, title, statuses, edit=None, **change):
    """Anything but 101; edit: changes the lines."""
    def run(client):
        lines = client.request(**change)
        status, fields = client.ask(edit(lines) if edit else lines)
        if status == 101:
            raise Failed("is accepted")
        if status not in statuses:
            client.notes.append(f"is answered {status}")
        if status == 426 and statuses[0] == 426 and "13" not in ", ".join(fields.get("sec-websocket-version", [])):
            client.notes.append("426 without Sec-WebSocket-Version: 13")
    CASES.append(Case(f"H.2.{number}", f"{title}: {' or '.join(map(str, statuses))}", run, is_raw=True))


def first_line(line):
    return lambda lines: [line.format(path=lines[0].split()[1])] + lines[1:]


accepted(1, "as in the RFC")
accepted(2, "a text in the same write", extra=TEXT)
accepted(3, "a ping and a text in fragments in the same write",
         extra=frame(10) + frame(1, b"Hel", fin=False) + frame(0, b"lo"))
accepted(4, "Connection: keep-alive, Upgrade", Connection="keep-alive, Upgrade")
accepted(5, "Connection in two fields", Connection=["keep-alive", "UPGRADE"])
accepted(6, "Upgrade: WebSocket", Upgrade="WebSocket")
accepted(7, "other fields beside", Origin="http://example.org", Cookie="a=b", User_Agent="x" * 200,
         Sec_WebSocket_Extensions="x-unknown")

rejected(1, "no Sec-WebSocket-Key", [400], Sec_WebSocket_Key=None)
rejected(2, "a key of 15 octets", [400], key="MTIzNDU2Nzg5MDEyMzQ1")
rejected(3, "a key that is no Base64", [400], key="!!!!!!!!!!!!!!!!!!!!!!==")
rejected(4, "two keys", [400], key=["dGhlIHNhbXBsZSBub25jZQ=="] * 2)
rejected(5, "version 8", [426, 400], Sec_WebSocket_Version="8")
rejected(6, "no version", [400, 426], Sec_WebSocket_Version=None)
rejected(7, "POST", [400, 405], first_line("POST {path} HTTP/1.1"))
rejected(8, "HTTP/1.0", [400, 426, 505], first_line("GET {path} HTTP/1.0"))
rejected(9, "no Connection: Upgrade", [400, 426], Connection="keep-alive")
rejected(10, "no Upgrade", [400, 426], Upgrade=None)
rejected(11, "Upgrade to something else", [400, 426], Upgrade="h2c")
rejected(12, "no Host", [400], Host=None)
rejected(13, "extensions that cannot be read", [400], Sec_WebSocket_Extensions="permessage-deflate; =,;")
