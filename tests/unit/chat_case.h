/* chat_case.h: chats of a protocol of the test's, around app_case.h: each client is a socketpair's
 * other end, and what the callbacks see is written down. */
#ifndef TESTS_UNIT_CHAT_CASE_H
#define TESTS_UNIT_CHAT_CASE_H

#include <reeve/async.h>
#include <reeve/chat.h>

#include "app_case.h"
#include "live/chat.h"

static struct app_case c;
static char said[1u << 17]; /* what the callbacks noted */
static size_t said_length;

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    said_length += (size_t)vsnprintf(said + said_length, sizeof said - said_length, format, args);
    va_end(args);
}

static inline void forget(void)
{
    said_length = 0;
    said[0] = '\0';
}

static inline int answer_nothing(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ, (void)start_response;
    return -1;
}

static inline void chat_case_open(const reeve_chat_protocol *protocol)
{
    assert_int_equal(app_case_open(&c, answer_nothing), 0);
    c.descriptor.chat = protocol;
    c.listens[0].protocol = LISTEN_CHAT;
    forget();
}

/* Returns the client's end. */
static inline int chat_case_accept(void)
{
    const struct sockaddr_in peer = {.sin_family = AF_INET,
                                     .sin_port = htons(4711),
                                     .sin_addr.s_addr = htonl(0xc0000207)}; /* 192.0.2.7 */
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    chat_accept(&c.room.net, fds[1], c.listener, (const struct sockaddr *)&peer);
    return fds[0];
}

static inline void chat_case_connect(void)
{
    c.length = 0;
    c.is_closed = false;
    c.client = chat_case_accept();
}

static inline void say(const char *text)
{
    app_case_send(&c, text, strlen(text));
}

/* Until the client has got so much, or the end. */
static inline void expect(const char *text)
{
    app_case_turn_until(&c, strlen(text));
    assert_string_equal(c.wire, text);
}

static inline void expect_end(void)
{
    while (!c.is_closed)
        app_case_turn(&c);
}

static inline void turn_until_said(const char *text)
{
    while (!strstr(said, text))
        app_case_turn(&c);
}

static inline void chat_case_hang_up(void)
{
    app_case_hang_up(&c);
    while (c.room.net.conn_count > 0)
        event_base_loop(c.base, EVLOOP_ONCE);
}

/* All have ended, and nothing is held. */
static inline void chat_case_close(void)
{
    if (c.client != -1)
        chat_case_hang_up();
    app_case_close(&c);
}

#endif
