"""context.py: permessage-deflate (RFC 7692) from the client's side, with Python's zlib: what was offered and chosen, and
both directions of one connection. It refuses a server that uses more of a window, or of what came before, than agreed."""
import re
import zlib

from client import Breach

TAIL = b"\x00\x00\xff\xff"
ITEM = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,="]+))?\s*([;,]|$)')


def parse(header):
    """An extension header as a list of (name, {parameter: value or None})."""
    found, at, is_name = [], 0, True
    while at < len(header):
        match = ITEM.match(header, at)
        if not match:
            raise Breach(f"an extension header that cannot be read: {header}")
        word, value, mark = match.groups()
        if is_name:
            found.append((word, {}))
        elif word in found[-1][1]:
            raise Breach(f"{word} is there twice: {header}")
        else:
            found[-1][1][word] = value.strip('"') if value else None
        is_name, at = mark == ",", match.end()
    return found


def is_allowed(answer, offer):
    """Whether RFC 7692 7.1 lets a server answer this offer so."""
    known = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
             "client_max_window_bits"}
    if set(answer) - known:
        return False
    for side in "server", "client":
        if answer.get(f"{side}_no_context_takeover") is not None:
            return False
        if answer.get(f"{side}_max_window_bits", "15") not in [str(n) for n in range(8, 16)]:
            return False
    if int(answer.get("server_max_window_bits", 15)) > int(offer.get("server_max_window_bits", 15)):
        return False
    if "client_max_window_bits" in answer and "client_max_window_bits" not in offer:
        return False
    return "server_no_context_takeover" in answer or "server_no_context_takeover" not in offer


class Context:
    def __init__(self, chosen, offers):
        """chosen: the answer's header, offers: ours."""
        answers = parse(chosen)
        if [name for name, _ in answers] != ["permessage-deflate"]:
            raise Breach(f"extensions {chosen}")
        self.params = answers[0][1]
        offered = [params for name, params in parse(offers) if name == "permessage-deflate"]
        fitting = [offer for offer in offered if is_allowed(self.params, offer)]
        if not fitting:
            raise Breach(f"{chosen} is no answer to {offers}")
        # Ours is a hint in the offer, and an order in the answer.
        ours = [self.params.get("client_max_window_bits"), fitting[0].get("client_max_window_bits")]
        self.server_bits = int(self.params.get("server_max_window_bits", 15))
        self.client_bits = min(int(bits or 15) for bits in ours)
        self.compressor = self.decompressor = None

    def deflate(self, data):
        if not self.compressor or "client_no_context_takeover" in self.params:
            self.compressor = compressor(self.client_bits)
        out = self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        assert out.endswith(TAIL)
        return out[:-4]

    def inflate(self, data):
        if not self.decompressor or "server_no_context_takeover" in self.params:
            self.decompressor = zlib.decompressobj(-self.server_bits)
        # zlib looks no further back than the window only beyond what one call has put out: hence small steps.
        step = 0 if self.server_bits == 15 else 1 << (self.server_bits - 2)
        out, data = [], data + TAIL
        try:
            while True:
                out.append(self.decompressor.decompress(data, step))
                data = self.decompressor.unconsumed_tail
                if self.decompressor.eof:  # a block with BFINAL; what follows it is another stream
                    data = self.decompressor.unused_data
                    self.decompressor = zlib.decompressobj(-self.server_bits)
                elif not data and len(out[-1]) < (step or 1 << 62):
                    return b"".join(out)
        except zlib.error as error:
            raise Breach(f"compressed data that cannot be inflated: {error}") from None


def compressor(bits):
    if bits == 8:  # zlib makes no such stream; one without references fits into any window
        return zlib.compressobj(6, zlib.DEFLATED, -9, 8, zlib.Z_HUFFMAN_ONLY)
    return zlib.compressobj(6, zlib.DEFLATED, -bits)
