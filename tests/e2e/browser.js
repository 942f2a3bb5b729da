#!/usr/bin/env node
/* browser.js: headless Chromium, told by lines on stdin what to do, with as many pages as it takes. It speaks the DevTools
 * protocol over a pipe, has a profile of its own that is gone afterwards, and reaches nothing but 127.0.0.1.
 *
 *     browser.js [--timeout SECONDS] < COMMANDS
 *
 *     open PAGE URL               a new page of that name, when it has loaded
 *     type PAGE SELECTOR WORDS    clicks on the element and types
 *     press PAGE KEY              Enter, Tab, Escape
 *     click PAGE SELECTOR         with the mouse, in the middle of the element
 *     await PAGE WORDS            until they are in the page's text
 *     show PAGE                   prints the page's text
 *     eval PAGE EXPRESSION        prints its value as JSON; a promise's, when there is one
 *     reload PAGE, close PAGE
 *
 * An exception in a page and what it logs as an error is printed as `error PAGE ...`. Exit status 0 when all was done, else 1
 * with a sentence that says what was not (an await takes 20 s at most). */
'use strict';
const { spawn, spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');

const FLAGS = ['--headless', '--no-sandbox', '--remote-debugging-pipe', '--disable-gpu', '--disable-dev-shm-usage',
    '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-extensions', '--disable-breakpad', '--no-proxy-server', '--mute-audio',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];
const KEYS = { Enter: 13, Tab: 9, Escape: 27 };

let limit = 20000;
let profile;
let child;
let isEnding = false;

/* Ends all of its processes, which are a group of their own. They may still write for a moment. */
function cleanUp() {
    try {
        if (child) process.kill(-child.pid, 'SIGKILL');
    } catch (error) { /* all have ended */ }
    for (const deadline = Date.now() + 5000; profile && fs.existsSync(profile) && Date.now() < deadline;)
        try {
            fs.rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
        } catch (error) { /* a file has appeared meanwhile */ }
}

function fail(sentence) {
    console.error(sentence);
    isEnding = true;
    cleanUp();
    process.exit(1);
}

// ---- the protocol: commands and events as JSON, each with a NUL at its end

const answers = new Map(); // by number: who waits for it
const listeners = [];      // (event, session) => true when it was the one waited for
let number = 0;

function call(method, params = {}, sessionId = undefined) {
    child.stdio[3].write(JSON.stringify({ id: ++number, method, params, sessionId }) + '\0');
    return new Promise((resolve, reject) => answers.set(number, { resolve, reject, method }));
}

function take(message) {
    if (message.id !== undefined) {
        const { resolve, reject, method } = answers.get(message.id);
        answers.delete(message.id);
        if (message.error) reject(new Error(`${method}: ${message.error.message}`));
        else resolve(message.result);
        return;
    }
    for (const listener of [...listeners])
        if (listener(message)) listeners.splice(listeners.indexOf(listener), 1);
}

function start() {
    const program = ['chromium-headless-shell', 'chromium'].find((name) =>
        spawnSync('sh', ['-c', `command -v ${name}`]).status === 0);
    if (!program) fail('there is no chromium');
    profile = fs.mkdtempSync(path.join(process.env.BATS_TEST_TMPDIR || os.tmpdir(), 'browser-'));
    child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`],
        { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'], env: { ...process.env, HOME: profile }, detached: true });
    let said = '';
    child.stderr.on('data', (data) => { said = (said + data).slice(-2000); });
    child.on('exit', (code) => isEnding || fail(`${program} has ended with status ${code}: ${said}`));
    child.on('error', (error) => fail(`${program}: ${error.message}`));
    child.stdio[3].on('error', () => {});
    let rest = '';
    child.stdio[4].setEncoding('utf8').on('data', (data) => {
        const messages = (rest + data).split('\0');
        rest = messages.pop();
        messages.forEach((message) => take(JSON.parse(message)));
    });
}

// ---- pages

const pages = new Map(); // by name: { target, session }

function page(name) {
    const found = pages.get(name);
    if (!found) throw new Error(`there is no page ${name}`);
    return found;
}

const once = (method, session) => new Promise((resolve) =>
    listeners.push((message) => message.method === method && message.sessionId === session && (resolve(), true)));

function tellErrors(name, session) {
    listeners.push(({ method, params, sessionId }) => {
        if (sessionId !== session) return;
        if (method === 'Runtime.exceptionThrown')
            console.log(`error ${name} ${params.exceptionDetails.exception?.description || params.exceptionDetails.text}`);
        if (method === 'Log.entryAdded' && params.entry.level === 'error')
            console.log(`error ${name} ${params.entry.text} ${params.entry.url || ''}`);
        if (method === 'Runtime.consoleAPICalled' && params.type === 'error')
            console.log(`error ${name} ${params.args.map((arg) => arg.value ?? arg.description).join(' ')}`);
    });
}

async function navigate(name, method, params) {
    const { session } = page(name);
    const loaded = once('Page.loadEventFired', session);
    const { errorText } = await call(method, params, session);
    if (errorText) throw new Error(`${params.url}: ${errorText}`);
    await loaded;
}

async function open(name, url) {
    const { targetId } = await call('Target.createTarget', { url: 'about:blank', newWindow: pages.size > 0 });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    pages.set(name, { target: targetId, session: sessionId });
    tellErrors(name, sessionId);
    for (const domain of ['Page', 'Runtime', 'Log']) await call(`${domain}.enable`, {}, sessionId);
    await navigate(name, 'Page.navigate', { url });
}

async function evaluate(name, expression) {
    const { result, exceptionDetails } = await call('Runtime.evaluate',
        { expression, awaitPromise: true, returnByValue: true }, page(name).session);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
}

async function until(name, expression, complaint) {
    const deadline = Date.now() + limit;
    while (!await evaluate(name, expression)) {
        if (Date.now() > deadline) throw new Error(`${complaint}; there is: ${await text(name)}`);
        await new Promise((resolve) => setTimeout(resolve, 30));
    }
}

const text = (name) => evaluate(name, 'document.body.innerText');

async function click(name, selector) {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    await until(name, `${element} !== null`, `there is no ${selector} in ${name}`);
    const { x, y } = await evaluate(name, `(() => {
        ${element}.scrollIntoView({ block: 'center' });
        const box = ${element}.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    })()`);
    for (const type of ['mousePressed', 'mouseReleased'])
        await call('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 }, page(name).session);
}

async function press(name, key) {
    const event = { key, code: key, windowsVirtualKeyCode: KEYS[key], text: key === 'Enter' ? '\r' : undefined };
    if (!KEYS[key]) throw new Error(`unknown key ${key}`);
    for (const type of ['keyDown', 'keyUp']) await call('Input.dispatchKeyEvent', { type, ...event }, page(name).session);
}

const split = (words) => { // the first word and the rest
    const at = words.indexOf(' ');
    return at < 0 ? [words, ''] : [words.slice(0, at), words.slice(at + 1)];
};

const COMMANDS = {
    open,
    click,
    press,
    async type(name, rest) {
        const [selector, words] = split(rest);
        await click(name, selector);
        await call('Input.insertText', { text: words }, page(name).session);
    },
    await: (name, words) => until(name, `document.body.innerText.includes(${JSON.stringify(words)})`,
        `"${words}" does not come in ${name}`),
    show: async (name) => console.log(await text(name)),
    eval: async (name, expression) => console.log(JSON.stringify(await evaluate(name, expression))),
    reload: (name) => navigate(name, 'Page.reload', {}),
    async close(name) {
        await call('Target.closeTarget', { targetId: page(name).target });
        pages.delete(name);
    },
};

async function obey(line) {
    const [command, rest] = split(line);
    if (!COMMANDS[command]) throw new Error(`unknown command ${command}`);
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${limit / 1000} s: ${line}`)), limit + 1000);
    });
    await Promise.race([COMMANDS[command](...split(rest)), late]);
    clearTimeout(timer);
}

async function main() {
    if (process.argv[2] === '--timeout') limit = Number(process.argv[3]) * 1000;
    start();
    for await (const line of readline.createInterface({ input: process.stdin }))
        if (line !== '') await obey(line);
    isEnding = true;
    const ended = new Promise((resolve) => child.on('exit', resolve));
    call('Browser.close').catch(() => {});
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000).unref())]);
    cleanUp();
    process.exit(0);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => fail(`ended by ${signal}`));
main().catch((error) => fail(error.message));
