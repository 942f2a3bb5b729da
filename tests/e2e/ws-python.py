#!/usr/bin/python3
"""ws-python.py: a WebSocket client of python3-websockets, with the options, the commands on stdin, the lines and the exit
status of ws-client.js.

    ws-python.py [--protocol NAME]... [--header 'NAME: VALUE']... [--no-deflate] [--timeout SECONDS] URL < COMMANDS

The interpreter is the system's, since that is the one for which the library is installed."""
import argparse
import asyncio
import os
import re
import sys

import websockets


class Driver:
    def __init__(self):
        self.unmatched = []  # lines that no await has looked at
        self.wake = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_read.set()

    def print(self, line):
        print(line, flush=True)
        self.unmatched.append(line)
        self.wake.set()

    async def await_line(self, pattern):
        while True:
            while self.unmatched:
                if re.search(pattern, self.unmatched.pop(0)):
                    return
            self.wake.clear()
            await self.wake.wait()

    async def read(self, socket):
        """Every message; ends with the connection. While paused, the library's queue fills, and it reads no more."""
        try:
            while True:
                await self.may_read.wait()
                data = await socket.recv()
                kind = "text" if isinstance(data, str) else "binary"
                octets = data.encode() if isinstance(data, str) else data
                if len(octets) > 200:
                    self.print(f"{kind} of {len(octets)} octets")
                else:
                    self.print(f"{kind} {data if isinstance(data, str) else data.hex()}")
        except websockets.ConnectionClosed:
            self.print(f"close {socket.close_code} {socket.close_reason}".rstrip())

    async def ping(self, socket, words):
        await (await socket.ping(words))
        self.print(f"pong {words}".rstrip())

    async def obey(self, socket, command, rest):
        if command == "text":
            await socket.send(rest)
        elif command == "binary":
            await socket.send(bytes.fromhex(rest))
        elif command == "big":
            await socket.send("x" * int(rest))
        elif command == "ping":
            asyncio.ensure_future(self.ping(socket, rest))
        elif command == "await":
            await self.await_line(rest)
        elif command == "pause":
            self.may_read.clear()
        elif command == "resume":
            self.may_read.set()
        elif command == "drop":
            socket.transport.abort()
        elif command == "close":
            code, _, reason = rest.partition(" ")
            await socket.close(int(code or 1000), reason)
        else:
            sys.exit(f"unknown command {command}")

    async def obey_all(self, socket):
        loop = asyncio.get_running_loop()
        try:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                if line.strip("\n"):
                    command, _, rest = line.strip("\n").partition(" ")
                    await self.obey(socket, command, rest)
        except websockets.ConnectionClosed:
            pass  # the reader tells of it


async def converse(args):
    driver = Driver()
    headers = [tuple(part.strip() for part in header.split(":", 1)) for header in args.header]
    try:
        socket = await websockets.connect(args.url, subprotocols=args.protocol or None, extra_headers=headers,
                                          compression="deflate" if args.deflate else None, max_size=64 << 20,
                                          max_queue=8, ping_interval=None, close_timeout=args.timeout)
    except websockets.InvalidStatusCode as error:
        driver.print(f"refused {error.status_code}")
        return 1
    except (OSError, websockets.InvalidHandshake) as error:
        driver.print(f"error {error}")
        return 1
    chosen = socket.response_headers.get("Sec-WebSocket-Extensions", "")
    driver.print(f"open protocol={socket.subprotocol or ''} extensions={chosen.split(';')[0]}")
    commands = asyncio.ensure_future(driver.obey_all(socket))
    await driver.read(socket)
    commands.cancel()
    return 0


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", action="append", default=[])
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--no-deflate", dest="deflate", action="store_false")
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("url")
    args = parser.parse_args()
    try:
        return await asyncio.wait_for(converse(args), args.timeout)
    except asyncio.TimeoutError:
        print("the time is over", file=sys.stderr, flush=True)
        return 2


status = asyncio.new_event_loop().run_until_complete(main())
os._exit(status)  # the thread that reads stdin is not waited for
