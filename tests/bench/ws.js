// ws.js: the same as lws.c by ws for Node.js: /listen gets what is sent to /publish, other paths echo.
// usage: node ws.js PORT
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: +process.argv[2], backlog: 4096, perMessageDeflate: false });
const listeners = new Set();

server.on('connection', (socket, request) => {
  if (request.url === '/listen') {
    listeners.add(socket);
    socket.on('close', () => listeners.delete(socket));
  } else if (request.url === '/publish') {
    socket.on('message', (data) => {
      for (const listener of listeners) listener.send(data, { binary: false });
    });
  } else {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  }
});
