/* pubsub_ring.c: publications by shared memory: each worker writes a ring of its own, and reads those
 * of all when its bell has rung (base/ring.h, base/bell.h).
 *
 * Rings are read from the loop, in turn and some records at a time: nobody who publishes much keeps
 * this worker from the others, or from its requests. Of a slot that never had a worker only the ring's
 * head is looked at: the board is sparse. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "app/room.h"
#include "base/bell.h"
#include "base/ring.h"
#include "live/pubsub_marks.h"
#include "live/pubsub_transport.h"
#include "runtime/soon.h"

/* A round is over after so much work, a subscriber, or 1 KiB, being 1, and a record RECORD_WORK;
 * and it is another ring's turn after so many records. */
#define WORK_A_ROUND   2048u
#define RECORD_WORK    8u
#define SKIP_WORK      64u /* what nobody wants, a thousand records */
#define RECORDS_A_TURN 16u

static struct {
    const struct transport_owner *owner;
    const struct board *board;
    struct bells bells;
    struct ring_writer writer;
    struct ring_reader *readers; /* one a slot */
    uint64_t *places;            /* likewise: scratch for marks */
    void *scratch;               /* for a record */
    struct event bell, next_round;
    struct soon soon;
    struct marks marks;
    unsigned count;      /* of slots */
    unsigned turn;       /* whose ring is next */
    size_t wanted_count; /* channels. None: nothing is read, and the readers stay where they are */
    unsigned wanted[RING_FILTER_WORDS * 64]; /* how many channels have this bit of the filter */
    bool has_bell;
    bool is_reading;
} process;

static void look_soon(void);

/* ---- places ---- */

/* What was published so far is not read. */
static void skip_all(void)
{
    for (unsigned slot = 0; slot < process.count; slot++)
        ring_reader_open(&process.readers[slot], board_ring(process.board, slot));
}

static bool has_news(unsigned slot)
{
    return ring_has_news(&process.readers[slot]);
}

static uint64_t end_of(unsigned slot)
{
    return atomic_load_explicit(&process.readers[slot].ring.head->published, memory_order_relaxed);
}

static uint64_t mark(void)
{
    bool is_behind = false;

    for (unsigned slot = 0; slot < process.count; slot++) {
        is_behind = is_behind || has_news(slot);
        process.places[slot] = end_of(slot);
    }
    return is_behind ? marks_set(&process.marks, process.places) : process.marks.last;
}

/* A ring whose end went back has nothing more to read, and so was read. */
static void forget_marks(void)
{
    for (unsigned slot = 0; slot < process.count; slot++)
        process.places[slot] = has_news(slot) ? process.readers[slot].at : UINT64_MAX;
    marks_pass(&process.marks, process.places);
}

/* ---- reading ---- */

/* Returns how much work it was. */
static size_t give(unsigned slot, const struct ring_record *record)
{
    struct arrival arrival = {
        .topic = {.name = record->channel, .length = record->channel_length, .hash = record->hash},
        .data = record->payload,
        .size = record->payload_length,
        .mark = marks_before(&process.marks, slot, process.readers[slot].at)};

    return RECORD_WORK + record->payload_length / 1024 + process.owner->arrived(&arrival);
}

/* One ring's turn. Returns how much work it was; 0: there was nothing. */
static size_t read_some(unsigned slot)
{
    struct ring_reader *reader = &process.readers[slot];
    struct ring_record record;
    size_t work = 0;

    for (unsigned i = 0; i < RECORDS_A_TURN && process.wanted_count > 0 && has_news(slot); i++) {
        switch (ring_next(reader, bells_wanted(&process.bells), process.scratch, &record)) {
        case RING_EMPTY:
            return work;
        case RING_RECORD:
            work += give(slot, &record);
            break;
        case RING_MISSED:
            work += RECORD_WORK + process.owner->missed(reader->missed);
            break;
        case RING_OTHERS:
            return work + SKIP_WORK;
        }
    }
    return work;
}

static void on_round(void *arg)
{
    unsigned silent = 0; /* rings in a row */
    size_t work = 0;

    (void)arg;
    process.is_reading = true;
    bells_heard(&process.bells);
    while (silent < process.count && work < WORK_A_ROUND && process.wanted_count > 0) {
        unsigned slot = process.turn;
        size_t more = read_some(slot);

        process.turn = (slot + 1) % process.count;
        silent = more > 0 ? 0 : silent + 1;
        work += more;
    }
    forget_marks();
    if (silent < process.count && process.wanted_count > 0)
        look_soon();
    process.is_reading = false;
}

static void on_next_round(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    on_round(arg);
}

/* After a round, and for what was published in it, only when the loop has looked for other news. */
static void look_soon(void)
{
    const struct timeval at_once = {0};

    if (!process.is_reading || event_add(&process.next_round, &at_once) == -1)
        soon_call(&process.soon, on_round, NULL);
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    look_soon();
}

/* ---- what is wanted ---- */

static struct ring_filter bits_of(uint64_t hash)
{
    struct ring_filter bits = {0};

    ring_filter_add(&bits, hash);
    return bits;
}

static bool is_set(const struct ring_filter *filter, unsigned bit)
{
    return atomic_load_explicit(&filter->words[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}

/* Before the readers look where the rings end. */
static int want(const struct topic *topic)
{
    struct ring_filter bits = bits_of(topic->hash);

    for (unsigned bit = 0; bit < RING_FILTER_WORDS * 64; bit++)
        process.wanted[bit] += is_set(&bits, bit);
    bells_want(&process.bells, topic->hash);
    if (process.wanted_count++ == 0)
        skip_all();
    return 0;
}

static void drop(const struct topic *topic)
{
    struct ring_filter bits = bits_of(topic->hash), left = {0};

    process.wanted_count--;
    for (unsigned bit = 0; bit < RING_FILTER_WORDS * 64; bit++) {
        process.wanted[bit] -= is_set(&bits, bit);
        if (process.wanted[bit] > 0)
            atomic_fetch_or_explicit(&left.words[bit / 64], UINT64_C(1) << bit % 64,
                                     memory_order_relaxed);
    }
    bells_want_only(&process.bells, &left);
}

/* ---- publishing ---- */

/* What nobody here wants need not be read here, as long as nothing before it is to be read: so who
 * publishes much at once, and lets the loop wait, does not miss what is not for this worker. */
static void skip_own(uint64_t hash, uint64_t before)
{
    struct ring_reader *own = &process.readers[process.bells.own];

    if (process.wanted_count == 0 || own->at != before ||
        ring_filter_has(bells_wanted(&process.bells), hash))
        return;
    own->at = process.writer.published;
    own->number = process.writer.number;
}

static int publish(const struct topic *topic, const void *data, size_t size)
{
    const struct ring_record record = {.channel = topic->name,
                                       .channel_length = topic->length,
                                       .payload = data,
                                       .payload_length = size,
                                       .hash = topic->hash};
    uint64_t before = process.writer.published;

    if (ring_publish(&process.writer, &record) == -1)
        return -1;
    skip_own(topic->hash, before);
    if (bells_ring(&process.bells, topic->hash, process.writer.published))
        look_soon();
    return 0;
}

/* ---- begin and end ---- */

static void close_all(void)
{
    if (process.has_bell)
        event_del(&process.bell);
    event_del(&process.next_round);
    soon_cancel(&process.soon);
    marks_close(&process.marks);
    bells_close(&process.bells);
    free(process.readers);
    free(process.places);
    free(process.scratch);
}

static const struct transport transport = {
    .publish = publish, .want = want, .drop = drop, .mark = mark, .close = close_all};

static int open_bell(struct event_base *base)
{
    int fd = bells_fd(&process.bells);

    if (fd == -1)
        return 0;
    event_assign(&process.bell, base, fd, EV_READ | EV_ET | EV_PERSIST, on_bell, NULL);
    process.has_bell = event_add(&process.bell, NULL) == 0;
    return process.has_bell ? 0 : -1;
}

const struct transport *pubsub_ring_open(struct room *room, const struct transport_owner *owner)
{
    const struct board *board = room->board;
    struct ring own = board_ring(board, room->worker);

    memset(&process, 0, sizeof process);
    process.owner = owner;
    process.board = board;
    process.count = board->max_workers;
    event_assign(&process.next_round, room->net.base, -1, 0, on_next_round, NULL);
    marks_open(&process.marks, process.count);
    process.readers = calloc(process.count, sizeof process.readers[0]);
    process.places = calloc(process.count, sizeof process.places[0]);
    process.scratch = malloc(ring_record_most(&own));
    if (bells_open(&process.bells, board, room->bells, room->worker) == -1 || !process.readers ||
        !process.places || !process.scratch || open_bell(room->net.base) == -1) {
        close_all();
        return NULL;
    }
    ring_writer_open(&process.writer, own);
    return &transport;
}
