/* ws_case.h: what a WebSocket client sends, and a driver that takes it apart in buffers exactly as
 * long as their bytes, so that the sanitizers see a look beyond them. It writes down what came:
 *
 *   text:hello;   binary:;   ztext:...;   ping:x;   pong:;   close 1000:bye;   error 1002;
 *
 * A message of several pieces is written as one. */
#ifndef TESTS_UNIT_WS_CASE_H
#define TESTS_UNIT_WS_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/ws_message.h"

#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))

#define FIN  0x80
#define RSV1 0x40

/* Bytes that grow. */
struct wire {
    char *data;
    size_t length;
};

static inline void wire_put(struct wire *w, const char *bytes, size_t n)
{
    w->data = realloc(w->data, w->length + n + 1);
    assert_non_null(w->data);
    if (n > 0)
        memcpy(w->data + w->length, bytes, n);
    w->length += n;
    w->data[w->length] = '\0';
}

static inline void wire_clear(struct wire *w)
{
    free(w->data);
    *w = (struct wire){.length = 0};
}

/* A masked frame whose first byte is `first`. */
static inline void wire_frame(struct wire *w, unsigned first, const char *payload, size_t n)
{
    static const char keys[][5] = {"\x37\xfa\x21\x3d", "\0\0\0\0", "\xff\x80\x01\x7f"};
    const char *key = keys[(w->length + n) % COUNT(keys)];
    char head[14];
    size_t size = ws_frame_head_masked((enum ws_opcode)(first & 0xf), false, false, n, key, head);

    head[0] = (char)first;
    wire_put(w, head, size);
    wire_put(w, payload, n);
    ws_frame_mask(w->data + w->length - n, n, key);
}

#define FRAME(w, first, literal) wire_frame(w, first, BYTES(literal))

/* ---- the driver ---- */

struct driver {
    struct ws_messages messages;
    bool wants_pieces; /* of messages.decoder */
    bool is_in_message;
    char *had; /* not taken */
    size_t length;
    struct wire log;
    unsigned in_place; /* so many messages were not copied */
    size_t held;       /* the most memory that was held between two feeds */
};

static inline void driver_init(struct driver *d, size_t max_message, bool wants_pieces,
                               bool has_deflate, struct ws_inflater *inflater)
{
    memset(d, 0, sizeof *d);
    ws_messages_init(&d->messages, max_message, inflater);
    d->wants_pieces = wants_pieces;
    if (wants_pieces)
        ws_decoder_init(&d->messages.decoder, max_message, has_deflate);
    wire_put(&d->log, "", 0);
}

static inline void driver_fini(struct driver *d)
{
    ws_messages_fini(&d->messages);
    wire_clear(&d->log);
    free(d->had);
}

static inline void note(struct driver *d, const struct ws_item *item, const char *word, bool ends)
{
    wire_put(&d->log, word, strlen(word));
    wire_put(&d->log, item->data, item->size);
    if (ends)
        wire_put(&d->log, ";", 1);
}

static inline void note_piece(struct driver *d, const struct ws_item *item)
{
    char word[16];

    assert_int_equal(item->is_first, !d->is_in_message);
    snprintf(word, sizeof word, "%s%s:", item->is_compressed ? "z" : "",
             item->is_text ? "text" : "binary");
    note(d, item, item->is_first ? word : "", item->is_last);
    d->is_in_message = !item->is_last;
    if (item->is_first && item->is_last)
        item->data[item->size] = 'x'; /* there is room */
}

static inline void note_message(struct driver *d, const struct ws_item *item)
{
    assert_int_equal(item->data[item->size], '\0');
    note(d, item, item->is_text ? "text:" : "binary:", true);
    d->in_place += item->memory == NULL;
    free(item->memory);
}

static inline void note_item(struct driver *d, const struct ws_item *item)
{
    char word[32];

    switch (item->kind) {
    case WS_MORE:
        return;
    case WS_PIECE:
        assert_true(d->wants_pieces);
        note_piece(d, item);
        return;
    case WS_MESSAGE:
        note_message(d, item);
        return;
    case WS_PING:
    case WS_PONG:
        note(d, item, item->kind == WS_PING ? "ping:" : "pong:", true);
        return;
    case WS_CLOSE:
        snprintf(word, sizeof word, "close %u:", item->code);
        note(d, item, word, true);
        return;
    case WS_ERROR:
        assert_non_null(item->why);
        snprintf(word, sizeof word, "error %u", item->code);
        note(d, item, word, true);
        return;
    }
}

static inline void driver_feed(struct driver *d, const char *bytes, size_t n)
{
    char *had = malloc(d->length + n > 0 ? d->length + n : 1);
    struct ws_item item;
    size_t at = 0;

    assert_non_null(had);
    if (d->length > 0)
        memcpy(had, d->had, d->length);
    if (n > 0)
        memcpy(had + d->length, bytes, n);
    free(d->had);
    d->length += n;
    do {
        at += d->wants_pieces ? ws_decode(&d->messages.decoder, had + at, d->length - at, &item)
                              : ws_messages_next(&d->messages, had + at, d->length - at, &item);
        assert_true(at <= d->length);
        note_item(d, &item);
    } while (item.kind != WS_MORE);
    d->length -= at;
    assert_true(d->length < WS_INPUT_MIN);
    assert_true(d->length == 0 || item.missing > 0);
    memmove(had, had + at, d->length);
    d->had = realloc(had, d->length > 0 ? d->length : 1);
    assert_non_null(d->had);
    if (ws_messages_held(&d->messages) > d->held)
        d->held = ws_messages_held(&d->messages);
}

/* ---- cuts ---- */

struct setting {
    size_t max_message;
    bool wants_pieces, has_deflate;
    struct ws_inflater *inflater;
};

static inline void expect_log(struct driver *d, const char *want, size_t length)
{
    assert_int_equal(d->log.length, length);
    assert_memory_equal(d->log.data, want, length);
    driver_fini(d);
}

/* What comes out of bytes at once, one by one, and cut in two at each place. */
static inline void expect(const struct setting *s, const struct wire *w, const char *want,
                          size_t length)
{
    struct driver d;
    size_t step = w->length / 1000 + 1;

    driver_init(&d, s->max_message, s->wants_pieces, s->has_deflate, s->inflater);
    driver_feed(&d, w->data, w->length);
    if (d.log.length != length || memcmp(d.log.data, want, length) != 0)
        print_error("%.200s\n%.200s\n", d.log.data, want);
    expect_log(&d, want, length);
    driver_init(&d, s->max_message, s->wants_pieces, s->has_deflate, s->inflater);
    for (size_t i = 0; i < w->length; i++)
        driver_feed(&d, w->data + i, 1);
    expect_log(&d, want, length);
    for (size_t cut = 1; cut < w->length; cut += step) {
        driver_init(&d, s->max_message, s->wants_pieces, s->has_deflate, s->inflater);
        driver_feed(&d, w->data, cut);
        driver_feed(&d, w->data + cut, w->length - cut);
        expect_log(&d, want, length);
    }
}

/* The same, of bytes that are not needed any more. */
static inline void expect_of(const struct setting *s, struct wire *w, const char *want)
{
    expect(s, w, want, strlen(want));
    wire_clear(w);
}

#endif
