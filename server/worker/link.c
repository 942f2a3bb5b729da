/* link.c: turns the master's messages into calls on the applications, and outcomes into answers. */
#include "worker/link.h"

#include <stdlib.h>
#include <unistd.h>

#include "app/generation.h"
#include "app/room.h"
#include "app/trial.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"

struct link {
    struct channel *channel; /* NULL: the master has gone */
    struct room *room;
    struct link_orders orders;
};

/* A preparation under way: init may wait. */
struct preparation {
    struct link *link;
    unsigned app;
    uint64_t generation;
    uint64_t begun;
    struct generation *prepared; /* NULL: not yet, or refused */
};

static void say(struct link *link, const struct message *message)
{
    if (link->channel && channel_send(link->channel, message) == -1)
        log_warnx("%s could not be sent to the master", message_name(message->type));
}

/* ---- deployment ---- */

static void answer(struct preparation *preparation, const char *refusal)
{
    struct message message = {
        .type = refusal ? MESSAGE_REFUSED : MESSAGE_PREPARED,
        .app = preparation->app,
        .generation = preparation->generation,
        .value = clock_ns() - preparation->begun,
        .text = refusal ? refusal : preparation->prepared->descriptor->version,
    };

    say(preparation->link, &message);
    free(preparation);
}

static void on_tried(const char *refusal, void *arg)
{
    answer(arg, refusal);
}

static void on_prepared(struct generation *generation, const char *refusal, void *arg)
{
    struct preparation *preparation = arg;

    preparation->prepared = generation;
    if (refusal || !preparation->link->room->is_preflight) {
        answer(preparation, refusal);
        return;
    }
    generation_commit(generation, false, NULL, 0); /* in this process it is asked like any other */
    trial_run(generation, on_tried, preparation);
}

static void refuse(struct link *link, const struct message *message, const char *why)
{
    say(link, &(struct message){.type = MESSAGE_REFUSED,
                                .app = message->app,
                                .generation = message->generation,
                                .text = why});
}

static void prepare(struct link *link, const struct message *message, struct app *app)
{
    struct preparation *preparation = malloc(sizeof *preparation);

    if (!preparation) {
        refuse(link, message, "memory has run out");
        return;
    }
    *preparation = (struct preparation){
        .link = link, .app = message->app, .generation = message->generation, .begun = clock_ns()};
    generation_prepare(app, message->generation, message->text, on_prepared, preparation);
}

static void commit(struct link *link, const struct message *message, struct app *app)
{
    struct generation *generation = generation_find(app, message->generation);

    enum handover how;
    char why[512];

    if (!generation || !generation->is_prepared || generation->is_retired) {
        log_warnx("%s: generation %llu is to be committed, but is not prepared here",
                  app->config->name, (unsigned long long)message->generation);
        return;
    }
    how = generation_commit(generation, message->value == COMMIT_KEEP, why, sizeof why);
    say(link, &(struct message){.type = MESSAGE_COMMITTED,
                                .app = message->app,
                                .generation = message->generation,
                                .value = how,
                                .text = why});
}

static void forget(const struct message *message, struct app *app)
{
    struct generation *generation = generation_find(app, message->generation);

    if (generation && generation != app->live)
        generation_retire(generation);
}

static void on_unloaded(unsigned app, uint64_t generation, const char *why_not, void *arg)
{
    say(arg, &(struct message){.type = MESSAGE_UNLOADED,
                               .app = app,
                               .generation = generation,
                               .value = why_not == NULL,
                               .text = why_not ? why_not : ""});
}

static void on_background_ended(void *arg)
{
    struct link *link = arg;

    link->orders.background_ended(link->orders.arg);
}

static void on_app_message(struct link *link, const struct message *message)
{
    struct app *app = room_app(link->room, message->app);

    if (!app) {
        log_warnx("%s for app %u, which does not exist", message_name(message->type), message->app);
        return;
    }
    switch ((enum message_type)message->type) {
    case MESSAGE_PREPARE:
        prepare(link, message, app);
        break;
    case MESSAGE_COMMIT:
        commit(link, message, app);
        break;
    default:
        forget(message, app);
        break;
    }
}

/* ---- the rest ---- */

static void on_message(struct channel *channel, const struct message *message, void *arg)
{
    struct link *link = arg;

    (void)channel;
    if (!message) {
        channel_free(link->channel);
        link->channel = NULL;
        link->orders.orphaned(link->orders.arg);
        return;
    }
    switch ((enum message_type)message->type) {
    case MESSAGE_PREPARE:
    case MESSAGE_COMMIT:
    case MESSAGE_ABORT:
        on_app_message(link, message);
        break;
    case MESSAGE_START:
        link->orders.start(link->orders.arg);
        break;
    case MESSAGE_LAST_CALL:
        link->orders.last_call(link->orders.arg);
        break;
    case MESSAGE_DRAIN:
        link->orders.drain(message->value,
                           message->generation == DRAIN_HAND_ON ? message->text : NULL,
                           link->orders.arg);
        break;
    case MESSAGE_CONNECTION:
        link->orders.connection(message, link->orders.arg);
        break;
    case MESSAGE_STACKS:
        link->orders.stacks(message->value, link->orders.arg);
        break;
    case MESSAGE_STOP:
        link->orders.stop(link->orders.arg);
        break;
    case MESSAGE_REOPEN:
        link->orders.reopen(link->orders.arg);
        break;
    default:
        log_warnx("the master sent %s, which is a worker's to send", message_name(message->type));
    }
}

static void on_flushed(void *arg)
{
    struct link *link = arg;

    link->orders.flushed(link->orders.arg);
}

struct link *link_open(struct room *room, int fd, const struct link_orders *orders)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->room = room;
    link->orders = *orders;
    link->channel = channel_new(room->net.base, fd, on_message, link);
    if (!link->channel) {
        free(link);
        return NULL;
    }
    channel_when_flushed(link->channel, on_flushed);
    room->on_unloaded = on_unloaded;
    room->on_background_ended = on_background_ended;
    room->arg = link;
    return link;
}

void link_close(struct link *link)
{
    link->room->on_unloaded = NULL;
    link->room->on_background_ended = NULL;
    if (link->channel)
        channel_free(link->channel);
    free(link);
}

void link_say_ready(struct link *link)
{
    say(link, &(struct message){.type = MESSAGE_READY, .text = ""});
}

bool link_give_connection(struct link *link, const struct message *message)
{
    return link->channel && channel_is_flushed(link->channel) &&
           channel_send(link->channel, message) == 0;
}

void link_answer_stacks(struct link *link, uint64_t question, int fd, const char *why_not)
{
    say(link, &(struct message){.type = MESSAGE_STACKS,
                                .value = question,
                                .text = fd == -1 ? why_not : "",
                                .fd = fd == -1 ? NULL : &fd});
    if (fd != -1)
        close(fd);
}

bool link_is_flushed(const struct link *link)
{
    return !link->channel || channel_is_flushed(link->channel);
}

void link_say_leaving(struct link *link)
{
    say(link, &(struct message){.type = MESSAGE_LEAVING, .text = ""});
}

void link_say_cut(struct link *link)
{
    say(link, &(struct message){.type = MESSAGE_LEAVING, .value = LEAVING_CUT, .text = ""});
}
