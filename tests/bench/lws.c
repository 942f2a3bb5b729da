/* lws.c: the peer of the WebSocket benchmarks: libwebsockets, with its own loop (poll), which is faster
 * here than the others it can use (libev, libuv), since all connections have something to say.
 *
 * /listen gets what is sent to /publish, other paths echo. Messages are sent when the library says
 * that they can be, as its documentation wants it. No compression.
 *
 * usage: lws PORT */
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER 65536

/* Held once by each that still sends it. */
struct message {
    unsigned refs;
    bool is_text;
    size_t size;
    unsigned char data[]; /* LWS_PRE bytes of the library's, then `size` */
};

struct queued {
    struct queued *next;
    struct message *message;
};

enum { ECHO, LISTENER, PUBLISHER };

struct session {
    int kind;
    struct session *next_listener, **listener_link;
    struct lws *wsi;
    struct message *coming;
    struct queued *first, **last;
};

static struct session *listeners;

static void drop(struct message *message)
{
    if (message && --message->refs == 0)
        free(message);
}

static void queue(struct session *session, struct message *message)
{
    struct queued *queued = malloc(sizeof *queued);

    message->refs++;
    *queued = (struct queued){.message = message};
    *session->last = queued;
    session->last = &queued->next;
    lws_callback_on_writable(session->wsi);
}

static void pop(struct session *session)
{
    struct queued *queued = session->first;

    session->first = queued->next;
    if (!session->first)
        session->last = &session->first;
    drop(queued->message);
    free(queued);
}

static void begin(struct session *session, struct lws *wsi)
{
    char path[64] = "";

    *session = (struct session){.wsi = wsi, .last = &session->first};
    lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
    if (strcmp(path, "/publish") == 0) {
        session->kind = PUBLISHER;
    } else if (strcmp(path, "/listen") == 0) {
        session->kind = LISTENER;
        session->listener_link = &listeners;
        session->next_listener = listeners;
        if (listeners)
            listeners->listener_link = &session->next_listener;
        listeners = session;
    }
}

static void end(struct session *session)
{
    while (session->first)
        pop(session);
    drop(session->coming);
    if (session->kind == LISTENER) {
        *session->listener_link = session->next_listener;
        if (session->next_listener)
            session->next_listener->listener_link = session->listener_link;
    }
}

/* A piece of a message, in which the rest of this frame has still to come. */
static void receive(struct session *session, struct lws *wsi, const void *data, size_t size)
{
    struct message *message = session->coming;
    size_t had = message ? message->size : 0;

    message = realloc(message, sizeof *message + LWS_PRE + had + size);
    if (!session->coming)
        *message = (struct message){.refs = 1, .is_text = !lws_frame_is_binary(wsi)};
    memcpy(message->data + LWS_PRE + had, data, size);
    message->size = had + size;
    session->coming = message;
    if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi))
        return;
    if (session->kind == PUBLISHER)
        for (struct session *s = listeners; s; s = s->next_listener)
            queue(s, message);
    else if (session->kind == ECHO)
        queue(session, message);
    drop(message);
    session->coming = NULL;
}

static int send_some(struct session *session)
{
    while (session->first) {
        struct message *message = session->first->message;

        if (lws_write(session->wsi, message->data + LWS_PRE, message->size,
                      message->is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) < 0)
            return -1;
        pop(session);
        if (session->first && lws_send_pipe_choked(session->wsi)) {
            lws_callback_on_writable(session->wsi);
            break;
        }
    }
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *data,
                    size_t size)
{
    if (reason == LWS_CALLBACK_ESTABLISHED)
        begin(user, wsi);
    else if (reason == LWS_CALLBACK_RECEIVE)
        receive(user, wsi, data, size);
    else if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return send_some(user);
    else if (reason == LWS_CALLBACK_CLOSED)
        end(user);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = "bench",
         .callback = on_event,
         .per_session_data_size = sizeof(struct session),
         .rx_buffer_size = BUFFER},
        {0}};
    struct lws_context_creation_info info = {.iface = "127.0.0.1",
                                             .protocols = protocols,
                                             .pt_serv_buf_size = BUFFER,
                                             .options = LWS_SERVER_OPTION_DISABLE_IPV6};
    struct lws_context *context;

    if (argc < 2) {
        fputs("usage: lws PORT\n", stderr);
        return 2;
    }
    info.port = atoi(argv[1]);
    lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
    context = lws_create_context(&info);
    while (context && lws_service(context, 0) >= 0)
        ;
    return 1;
}
