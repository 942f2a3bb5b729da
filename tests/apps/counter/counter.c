/* counter: counts its requests, and hands the count over to its next build. Compiled with -DBUILD=N it is build N, whose
 * state has version -DVERSION=V (1); with one of the others below a build that behaves otherwise. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

#ifndef BUILD
#define BUILD 0
#endif
#ifndef VERSION
#define VERSION 1
#endif
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

struct state {
    unsigned version; /* of who has it */
    unsigned count;
    unsigned handovers;
    unsigned unused;
    volatile bool is_freed; /* behind what free overwrites */
};

static void drop(struct state *state)
{
    if (state == NULL)
        return;
    state->is_freed = true;
    free(state);
}

/* Until there is a file of that name. */
static int wait_for(const char *path)
{
    while (access(path, F_OK) != 0)
        if (reeve_sleep(0.01) != 0)
            return -1;
    return 0;
}

/* "build 7 count 12 handovers 6 pid 123\n", what is counted when the answer is given; ?until=PATH: waits for that file
 * first */
static int counter(reeve_environ *env, reeve_start_response *start_response)
{
    struct state *state = reeve_module_data(reeve_environ_module(env));
    const char *until = reeve_query_get(env, "until");
    const char *text;

    if (until != NULL && wait_for(until) != 0)
        return -1;
    if (state == NULL)
        text = reeve_printf(env, "build %s has no state\n", TEXT(BUILD));
    else if (state->is_freed)
        text = reeve_printf(env, "build %s uses a state that was freed\n", TEXT(BUILD));
    else
        text = reeve_printf(env, "build %s count %u handovers %u pid %d\n", TEXT(BUILD),
                            ++state->count, state->handovers, (int)getpid());
    start_response(env, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(env, text, strlen(text));
}

static int init(reeve_module *module)
{
    struct state *state = calloc(1, sizeof *state);

    if (state == NULL)
        return -1;
    state->version = VERSION;
    reeve_module_set_data(module, state);
    return 0;
}

#ifdef CONVERT /* makes a state of its own of what it is handed, and frees that in the end */
static struct state *taken[8];
static unsigned taken_count;

static int convert(reeve_module *module, struct state *state)
{
    struct state *own = malloc(sizeof *own);

    if (own == NULL || taken_count == sizeof taken / sizeof taken[0])
        return -1;
    *own = *state;
    own->handovers++;
    drop(reeve_module_data(module)); /* what init made */
    reeve_module_set_data(module, own);
    taken[taken_count++] = state;
    return 0;
}
#endif

static void fini(reeve_module *module)
{
    if (!reeve_state_is_handed_over(module))
        drop(reeve_module_data(module));
#ifdef CONVERT
    while (taken_count > 0)
        drop(taken[--taken_count]);
#endif
}

#ifndef NO_HANDOVER
static int give(reeve_module *module, uint32_t next_version)
{
#ifdef KEEP_ALL
    return reeve_refuse(module, "what build %s counted is its own", TEXT(BUILD));
#endif
    /* -DGIVES_TO=V: knows what it may be turned into */
#ifdef GIVES_TO
    if (next_version != GIVES_TO)
        return reeve_refuse(module, "version %u cannot follow version %u", next_version, VERSION);
#endif
    (void)module, (void)next_version;
    return 0;
}

static int handover(reeve_module *module, void *data, uint32_t version)
{
    struct state *state = data;

#ifdef CRASH_IN_HANDOVER
    raise(SIGKILL);
#endif
#ifdef TAKES /* -DTAKES=V: that version, besides its own */
    if (version != TAKES && version != VERSION)
#else
    if (version != VERSION)
#endif
        return -1;
#ifdef CONVERT
    return convert(module, state);
#endif
    drop(reeve_module_data(module)); /* what init made */
    state->version = VERSION;
    state->handovers++;
#ifdef SET_DATA
    reeve_module_set_data(module, state);
#endif
    return 0;
}
#endif

REEVE_APP(.name = "counter", .version = "1.0." TEXT(BUILD), .init = init, .fini = fini,
          .application = counter,
#ifdef ON_LOOP
          .on_loop = true,
#endif
#ifndef NO_HANDOVER
          .give = give, .handover = handover,
#endif
          .state_version = VERSION);
