/* chat_input.c: the input of a chat, cut at its terminator and handed to the callbacks one after the
 * other. It lies in the stream's buffer, where callbacks get it, and what is not looked at stays in
 * the kernel. */
#include <errno.h>
#include <string.h>

#include "app/generation.h"
#include "base/log.h"
#include "live/chat_private.h"
#include "net/stream.h"
#include "runtime/coro.h"

/* Callbacks in a row before others have their turn. */
#define DEEDS_IN_A_ROW 64

/* ---- giving away what lies there ---- */

void chat_unseal(struct reeve_chat *chat)
{
    if (chat->sealed)
        *chat->sealed = chat->under;
    chat->sealed = NULL;
}

static void seal(struct reeve_chat *chat, char *at)
{
    chat->sealed = at;
    chat->under = *at;
    *at = '\0';
}

char *chat_take(struct reeve_chat *chat, size_t data, size_t mark)
{
    static char nothing[1];
    struct stream *stream = &chat->session.stream;
    char *bytes;

    if (!stream->in) { /* a length of 0 needs none */
        nothing[0] = '\0';
        return nothing;
    }
    bytes = stream_bytes(stream);
    seal(chat, bytes + data);
    stream_consume(stream, data + mark);
    return bytes;
}

/* ---- what there is ---- */

size_t chat_read_most(const struct reeve_chat *chat)
{
    return chat_max_input(chat) + SPLITTER_MAX;
}

/* Which callback the input is for, and how much of it. */
struct piece {
    char *bytes;
    size_t data, mark;
};

static enum chat_deed find_in(struct reeve_chat *chat, struct piece *piece_out)
{
    const struct stream *stream = &chat->session.stream;
    bool is_found, collects = chat->protocol->collect_incoming_data != NULL;
    size_t length = stream_length(stream);

    piece_out->bytes = length > 0 ? stream_bytes(stream) : NULL;
    is_found = splitter_look(&chat->splitter, piece_out->bytes, length, &piece_out->data,
                             &piece_out->mark);
    if (piece_out->data > 0 && collects)
        return DEED_COLLECT;
    if (!collects && piece_out->data > chat_max_input(chat))
        chat_cut_off(chat, EMSGSIZE);
    else if (is_found)
        return DEED_FOUND;
    return DEED_NONE;
}

/* What looked like a terminator's beginning was none. */
static enum chat_deed find_at_end(struct reeve_chat *chat, struct piece *piece_out)
{
    piece_out->data = stream_length(&chat->session.stream);
    if (piece_out->data > 0 && chat->protocol->collect_incoming_data)
        return DEED_COLLECT;
    chat_finish(chat);
    return DEED_NONE;
}

bool chat_fill(struct reeve_chat *chat)
{
    if (stream_fill(&chat->session.stream, chat_read_most(chat)) > 0)
        return chat->is_unsure = true;
    if (chat->is_unsure && chat->session.stream.unsent == 0)
        stream_look(&chat->session.stream);
    return chat->is_unsure = false;
}

static enum chat_deed find(struct reeve_chat *chat, struct piece *piece_out)
{
    const struct stream *stream = &chat->session.stream;
    enum chat_deed deed;

    chat_unseal(chat);
    do {
        deed = find_in(chat, piece_out);
        if (deed != DEED_NONE || chat->error)
            return deed;
    } while (chat_fill(chat));
    return stream->is_eof ? find_at_end(chat, piece_out) : DEED_NONE;
}

/* After a reset nothing more is read, but what came before the peer's orderly end counts. */
static bool wants_input(const struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;

    return !chat->is_finishing && !chat->error && !chat->reader && !chat->is_dropping &&
           (!stream->is_gone || stream->has_fin);
}

static enum chat_deed next_with(struct reeve_chat *chat, struct piece *piece_out)
{
    const struct stream *stream = &chat->session.stream;
    enum chat_deed deed = DEED_NONE;

    if (chat->stage == CHAT_NEW) /* also if it has ended already: who made it waits to hear of it */
        return chat->protocol->serve ? DEED_SERVE : DEED_CONNECT;
    if (chat->stage == CHAT_ENDED || chat_is_plain(chat) || chat->protocol->serve)
        return DEED_NONE;
    if (wants_input(chat))
        deed = find(chat, piece_out);
    if (deed == DEED_NONE && chat->error && !chat->is_error_told)
        deed = DEED_ERROR;
    if (deed == DEED_NONE && stream->is_gone && !chat->output)
        deed = DEED_CLOSE;
    return deed;
}

enum chat_deed chat_next(struct reeve_chat *chat)
{
    struct piece piece;

    return next_with(chat, &piece);
}

/* ---- doing it ---- */

static int connect_to(struct reeve_chat *chat)
{
    chat->stage = CHAT_OPEN;
    return chat->protocol->on_connect ? chat->protocol->on_connect(chat) : 0;
}

/* It is taken before the callback runs, which may set another terminator, and read on. */
static int collect(struct reeve_chat *chat, const struct piece *piece)
{
    const char *bytes = stream_bytes(&chat->session.stream);

    splitter_took(&chat->splitter, piece->data);
    stream_consume(&chat->session.stream, piece->data);
    return chat->protocol->collect_incoming_data(chat, bytes, piece->data);
}

static int found(struct reeve_chat *chat, const struct piece *piece)
{
    splitter_passed(&chat->splitter, piece->data + piece->mark);
    chat->piece = chat_take(chat, piece->data, piece->mark);
    chat->piece_size = piece->data;
    member_count(&chat->session.member, messages_in);
    return chat->protocol->found_terminator(chat);
}

static int tell_error(struct reeve_chat *chat)
{
    chat->is_error_told = true;
    chat->protocol->handle_error(chat, chat->error);
    return 0;
}

/* What ended after all was sent was closed by one of the two, whatever came of it then. */
static int tell_close(struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;

    if (chat->protocol->handle_close)
        chat->protocol->handle_close(chat, stream->is_shut ? 0 : stream->error);
    return 0;
}

static int do_deed(struct reeve_chat *chat, enum chat_deed deed, const struct piece *piece)
{
    switch (deed) {
    case DEED_CONNECT:
        return connect_to(chat);
    case DEED_COLLECT:
        return collect(chat, piece);
    case DEED_FOUND:
        return found(chat, piece);
    case DEED_ERROR:
        return tell_error(chat);
    case DEED_CLOSE:
        return tell_close(chat);
    case DEED_SERVE:
        chat->stage = CHAT_OPEN;
        return chat->protocol->serve(chat);
    default:
        return 0;
    }
}

/* ---- what comes of it ---- */

static const char *const callbacks[] = {[DEED_CONNECT] = "on_connect",
                                        [DEED_COLLECT] = "collect_incoming_data",
                                        [DEED_FOUND] = "found_terminator",
                                        [DEED_SERVE] = "serve"};

static void complain(const struct reeve_chat *chat, enum chat_deed deed, int error)
{
    const struct generation *generation = chat->session.member.generation;

    log_warnx("%s %llu: %s of the chat protocol \"%s\" failed: %s", generation->app->config->name,
              (unsigned long long)generation->number, callbacks[deed], chat->protocol->name,
              strerror(error));
    member_failed(&chat->session.member);
}

/* Nobody is to blame for what fails since the connection ends. */
static void failed(struct reeve_chat *chat, enum chat_deed deed, int error)
{
    if (chat->session.stream.is_gone || chat->is_finishing)
        return;
    if (deed == DEED_SERVE || !chat->protocol->handle_error)
        complain(chat, deed, error);
    if (deed != DEED_SERVE)
        chat_fail(chat, error);
}

static void conclude(struct reeve_chat *chat, enum chat_deed deed, int result, int error)
{
    if (deed == DEED_CONNECT && result == -1)
        chat_finish(chat);
    else if (result == -1)
        failed(chat, deed, error ? error : EIO);
    if (deed == DEED_SERVE || deed == DEED_CLOSE)
        chat->stage = CHAT_ENDED;
    if (deed == DEED_SERVE || deed == DEED_ERROR)
        chat_finish(chat);
}

static void perform(struct reeve_chat *chat, enum chat_deed deed, const struct piece *piece)
{
    int result, error;

    chat_unseal(chat);
    chat->doing = deed;
    errno = 0;
    result = do_deed(chat, deed, piece);
    error = errno;
    duty_end_call(&chat->session.member.duty);
    chat_unseal(chat);
    chat->piece = NULL;
    chat->doing = DEED_NONE;
    conclude(chat, deed, result, error);
}

void chat_work(struct duty *duty)
{
    struct reeve_chat *chat = chat_of(session_of_duty(duty));
    struct piece piece;
    enum chat_deed deed;

    for (unsigned i = 0; (deed = next_with(chat, &piece)) != DEED_NONE; i++) {
        if (i == DEEDS_IN_A_ROW) {
            chat->yields = true;
            return;
        }
        perform(chat, deed, &piece);
        if (coro_current() && coro_cancelled(coro_current()))
            return; /* what is left is done in another run, which is not */
    }
}

/* ---- what applications set ---- */

/* What has arrived already is looked at anew. */
static void look_again(struct reeve_chat *chat)
{
    if (!chat->session.member.duty.is_working)
        session_look_soon(&chat->session);
}

int reeve_chat_set_terminator(reeve_chat *chat, const void *bytes, size_t size)
{
    if (splitter_set_bytes(&chat->splitter, bytes, size) == -1)
        return -1;
    look_again(chat);
    return 0;
}

int reeve_chat_set_length(reeve_chat *chat, uint64_t size)
{
    splitter_set_length(&chat->splitter, size);
    look_again(chat);
    return 0;
}

void reeve_chat_set_no_terminator(reeve_chat *chat)
{
    splitter_set_none(&chat->splitter);
    look_again(chat);
}

char *reeve_chat_collected(reeve_chat *chat, size_t *size_out)
{
    if (size_out)
        *size_out = chat->piece ? chat->piece_size : 0;
    return chat->piece;
}
