/* call.h: one request of the control API and its answer: a JSON object, a text, or a stream of
 * lines.
 *
 * A connection has one call at a time, so the struct lives as long as the connection: it is
 * embedded there, and an action's lines may come to it until call_gone. */
#ifndef MASTER_CALL_H
#define MASTER_CALL_H

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>

#define CALL_BODY_MAX  (64 * 1024)
#define CALL_DEPTH_MAX 8

#include "master/receipt.h"

struct master;

struct call {
    struct master *master;
    struct requester peer;
    struct evhttp_request *request; /* NULL: none at the moment */
    char argument[64];              /* what stands for '*' in the route's path */
    cJSON *body;                    /* NULL: none */
    bool is_answered;               /* at least begun */
    bool is_streaming;
    event_callback_fn after;         /* once the answer has left, with the master; NULL: nothing */
    void (*on_gone)(void *answerer); /* of call_defer; NULL: nobody is to answer later */
    void *answerer;
};

void call_begin(struct call *call, struct evhttp_request *request);
/* The answer has left: frees what was the request's and does what was put off until then. */
void call_done(struct call *call);
/* The connection is going down: the action that reports to it is told to forget it. */
void call_gone(struct call *call);

/* Somebody answers later; on_gone(answerer) tells him when the connection goes down before that. A
 * client that goes away is noticed by the answer only. */
void call_defer(struct call *call, void (*on_gone)(void *answerer), void *answerer);

/* Answers, once a call. `json` is freed; NULL (no memory) is answered with 500. */
void call_answer(struct call *call, int status, cJSON *json);
void call_answer_text(struct call *call, const char *type, struct evbuffer *text);
/* {"error":...,"detail":...}, detail as for printf. Returns -1. */
int call_refuse(struct call *call, int status, const char *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Answers 200 and goes on by lines, each one JSON object; the last one ends the answer. */
void call_stream_begin(struct call *call);
void call_stream_line(struct call *call, const cJSON *line, bool is_last);

/* Reads the body into call->body: an object with no keys but `keys` (separated by spaces, "" for
 * none), or nothing at all. 0, or -1 when it was refused. */
int call_read_body(struct call *call, const char *keys);

/* The request's path without its query; never NULL. */
const char *call_path(const struct call *call);
/* An item of the query as a copy to be freed, or NULL. */
char *call_query(const struct call *call, const char *name);

#endif
