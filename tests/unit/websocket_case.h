/* websocket_case.h: a WebSocket around app_case.h: the client is a socketpair's other end, its frames
 * are masked by zero, so that they read as they are; what the callbacks see is written down. */
#ifndef TESTS_UNIT_WEBSOCKET_CASE_H
#define TESTS_UNIT_WEBSOCKET_CASE_H

#include <reeve/async.h>
#include <reeve/websocket.h>

#include "app_case.h"
#include "live/websocket.h"
#include "live/websocket_private.h"

#define HANDSHAKE                                                      \
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"              \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

#define ANSWER                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" \
    "Connection: Upgrade\r\n"                                    \
    "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n" CASE_STAMP "\r\n"

static struct app_case c;
static char said[1u << 16]; /* what the callbacks noted */
static size_t said_length;
static const reeve_websocket_protocol *protocol;
static reeve_websocket *latest; /* NULL: it was refused */
static size_t read_at;          /* so much of the client's wire was looked at */

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    said_length += (size_t)vsnprintf(said + said_length, sizeof said - said_length, format, args);
    va_end(args);
}

static inline int accept_it(reeve_environ *environ, reeve_start_response *start_response)
{
    latest = reeve_websocket_accept(environ, start_response, protocol);
    return 0;
}

static inline void websocket_case_open(const reeve_websocket_protocol *as,
                                       reeve_application *application)
{
    protocol = as;
    latest = NULL;
    said_length = read_at = 0;
    said[0] = '\0';
    assert_int_equal(app_case_open(&c, application ? application : accept_it), 0);
}

static inline void websocket_case_close(void)
{
    app_case_close(&c);
    websocket_close_codec();
}

static inline void send_text(const char *text)
{
    app_case_send(&c, text, strlen(text));
}

/* The server's answer is this one, and the rest is to come. */
static inline void shake_hands(const char *headers)
{
    app_case_connect(&c);
    c.wire[0] = '\0';
    send_text(HANDSHAKE);
    send_text(headers);
    send_text("\r\n");
    while (!strstr(c.wire, "\r\n\r\n") && !c.is_closed)
        app_case_turn(&c);
    read_at = (size_t)(strstr(c.wire, "\r\n\r\n") - c.wire) + 4;
}

/* One frame of the client's, whole. `opcode` with its flags, such as 0x81. */
static inline size_t put_frame(char *out, int opcode, const void *data, size_t size)
{
    size_t head = 2;

    out[0] = (char)opcode;
    out[1] = (char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        out[2] = (char)(size >> 8);
        out[3] = (char)size;
        head = 4;
    }
    memset(out + head, 0, 4);
    memcpy(out + head + 4, data, size);
    return head + 4 + size;
}

static inline void send_frame(int opcode, const char *data)
{
    char frame[8192];

    app_case_send(&c, frame, put_frame(frame, opcode, data, strlen(data)));
}

/* The next frame from the server: its first byte, with its payload in `data`, a NUL behind it; -1:
 * there is none, and the server has closed its end. */
static inline int next_frame(char *data, size_t *size_out)
{
    size_t size, head = 2;

    for (;; app_case_turn(&c)) {
        const unsigned char *at = (const unsigned char *)c.wire + read_at;
        size_t there = c.length - read_at;

        size = there < 2 ? 0 : at[1] & 0x7f;
        head = size == 126 ? 4 : size == 127 ? 10 : 2;
        if (size == 126 && there >= head)
            size = (size_t)at[2] << 8 | at[3];
        else if (size == 127 && there >= head)
            size = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
        if (there >= head && there >= head + size)
            break;
        if (c.is_closed)
            return -1;
    }
    memcpy(data, c.wire + read_at + head, size);
    data[size] = '\0';
    read_at += head + size;
    if (size_out)
        *size_out = size;
    return (unsigned char)c.wire[read_at - size - head];
}

static char payload[CASE_WIRE];

static inline void expect(int opcode, const char *data)
{
    assert_int_equal(next_frame(payload, NULL), opcode);
    assert_string_equal(payload, data);
}

static inline void expect_close(unsigned code)
{
    size_t size = 0;

    assert_int_equal(next_frame(payload, &size), 0x88);
    if (size < 2)
        assert_int_equal(code, 1005);
    else
        assert_int_equal((unsigned char)payload[0] << 8 | (unsigned char)payload[1], code);
}

/* Until nothing is left of it. */
static inline void expect_end(void)
{
    if (!c.is_closed && c.client != -1)
        shutdown(c.client, SHUT_WR);
    app_case_turn_until_closed(&c);
    app_case_hang_up(&c);
    assert_int_equal(board_get(&c.room.slot->websockets), 0);
    assert_int_equal(board_get(&app_case_column(&c)->connections), 0);
}

#endif
