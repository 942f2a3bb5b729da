#!/usr/bin/env node
/* ws-client.js: a WebSocket client of Node's `ws`, told by lines on stdin what to do; see ws-python.py for another
 * implementation that takes the same lines and prints the same.
 *
 *     ws-client.js [--protocol NAME]... [--header 'NAME: VALUE']... [--no-deflate] [--timeout SECONDS] URL < COMMANDS
 *
 *     text WORDS           sends a text                   binary HEX      sends a binary
 *     big OCTETS           sends a text of that size      ping [WORDS]    prints a line when the pong is there
 *     await PATTERN        until a line that was printed since the last await matches this regular expression
 *     pause, resume        reads nothing any more; reads again
 *     close [CODE [REASON]]                               drop            ends the connection without a word
 *
 * Prints `open protocol=NAME extensions=LIST` or `refused STATUS`, then `text ...`, `binary HEX`, `pong WORDS` as they come,
 * those of more than 200 octets as `text of N octets`, and at last `close CODE REASON` (1005 without a code, 1006 without a
 * close frame). Ends when the connection does, with status 0; 1 when it was refused, 2 when the time (30 s) was over. */
'use strict';
const WebSocket = require('/usr/share/nodejs/ws'); // where Debian has it; any node finds it there
const readline = require('readline');

function readArguments(list) {
    const options = { protocols: [], headers: {}, deflate: true, timeout: 30 };
    while (list.length > 1) {
        const name = list.shift();
        if (name === '--protocol') options.protocols.push(list.shift());
        else if (name === '--no-deflate') options.deflate = false;
        else if (name === '--timeout') options.timeout = Number(list.shift());
        else if (name === '--header') {
            const [, field, value] = list.shift().match(/^([^:]+): ?(.*)$/);
            options.headers[field] = value;
        } else throw new Error(`unknown option ${name}`);
    }
    options.url = list[0];
    return options;
}

const unmatched = []; // lines that no await has looked at
let wake = () => {};

function print(line) {
    console.log(line);
    unmatched.push(line);
    wake();
}

async function awaitLine(pattern) {
    for (;;) {
        while (unmatched.length > 0)
            if (pattern.test(unmatched.shift())) return;
        await new Promise((resolve) => { wake = resolve; });
    }
}

function showMessage(data, isBinary) {
    const kind = isBinary ? 'binary' : 'text';
    if (data.length > 200) print(`${kind} of ${data.length} octets`);
    else print(`${kind} ${isBinary ? data.toString('hex') : data}`);
}

const split = (text) => { // the first word and the rest
    const at = text.indexOf(' ');
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

async function obey(socket, command, rest) {
    switch (command) {
    case 'text': return socket.send(rest);
    case 'binary': return socket.send(Buffer.from(rest, 'hex'));
    case 'big': return socket.send('x'.repeat(Number(rest)));
    case 'ping': return socket.ping(rest);
    case 'await': return awaitLine(new RegExp(rest));
    case 'pause': return socket.pause();
    case 'resume': return socket.resume();
    case 'drop': return socket.terminate();
    case 'close': {
        const [code, reason] = split(rest);
        return code ? socket.close(Number(code), reason) : socket.close();
    }
    default: throw new Error(`unknown command ${command}`);
    }
}

async function obeyAll(socket) {
    for await (const line of readline.createInterface({ input: process.stdin }))
        if (line !== '') await obey(socket, ...split(line));
}

const options = readArguments(process.argv.slice(2));
const socket = new WebSocket(options.url, options.protocols,
    { headers: options.headers, perMessageDeflate: options.deflate && { threshold: 0 }, maxPayload: 64 << 20 });
let isOpen = false;
socket.on('open', () => {
    isOpen = true;
    print(`open protocol=${socket.protocol} extensions=${socket.extensions}`);
    obeyAll(socket).catch((error) => { console.error(error.message); process.exit(2); });
});
socket.on('message', showMessage);
socket.on('pong', (data) => print(`pong ${data}`.trimEnd()));
socket.on('unexpected-response', (request, answer) => {
    print(`refused ${answer.statusCode}`);
    process.exit(1);
});
socket.on('error', (error) => {
    print(`error ${error.message}`);
    if (!isOpen) process.exit(1);
});
socket.on('close', (code, reason) => {
    print(`close ${code} ${reason}`.trimEnd());
    process.exit(0);
});
setTimeout(() => { console.error('the time is over'); process.exit(2); }, options.timeout * 1000);
