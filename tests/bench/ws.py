"""ws.py: the same as lws.c by websockets for Python: /listen gets what is sent to /publish, other paths echo.

usage: ws.py PORT
"""
import asyncio, sys

import websockets

listeners = set()


async def serve(socket, path):
    if path == "/listen":
        listeners.add(socket)
        await socket.wait_closed()
        listeners.discard(socket)
    elif path == "/publish":
        async for message in socket:
            websockets.broadcast(listeners, message)
    else:
        async for message in socket:
            await socket.send(message)


async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096):
        await asyncio.Future()


asyncio.run(main())
