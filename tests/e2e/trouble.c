/* trouble: an application that breaks its worker, one way a path, in static functions: some of them
 * stay functions, some are inlined. Each test compiles it as it needs it, with or without -O2, -g
 * and a strip:
 *     cc -O2 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" \
 *         -o "$DIR/trouble.so" "$TOP/tests/e2e/trouble.c"
 * With -DON_LOOP it runs on the loop's stack; with -DSTACK=BYTES its coroutines' are of that size;
 * with -DCONSTRUCTOR=FUNCTION it calls one of those below in a constructor, in workers only.
 *
 * Any path takes ?ms=N, to wait so long first, and ?held=FILE, to have the whole worker wait then
 * until there is that file. The options init and fini name the path of a trouble to be had there,
 * in workers only; with the option preflight, whatever it says, in the preflight process too; with
 * the option if, only while there is a file of that name. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

#ifndef STACK
#define STACK 0
#endif
/* What the compiler would inline is a frame of its own. */
#define KEPT __attribute__((noinline, noclone))

/* What the optimiser must not know. */
static volatile unsigned never;
static volatile int zero;
static volatile unsigned long spins;

/* `number` is the query's ?n=, `given` says that there was one. */
typedef void mishap(unsigned number, bool given);

/* ---- crashes ---- */

struct customer {
    char name[32];
    unsigned age;
};
static struct customer *volatile nobody;

static unsigned age_of(const struct customer *customer) /* inlined */
{
    return customer->age + 1;
}

KEPT static unsigned read_customer(unsigned number)
{
    unsigned age = age_of(nobody);

    spins += age;
    return age + number;
}

static void null(unsigned number, bool given)
{
    (void)given;
    spins += read_customer(number);
}

KEPT static int share_out(int sum)
{
    return sum / zero;
}

static void fpe(unsigned number, bool given)
{
    (void)given;
    spins += (unsigned long)share_out((int)number + 1);
}

KEPT static void give_up(void)
{
    abort();
}

static void aborts(unsigned number, bool given)
{
    (void)number, (void)given;
    give_up();
    spins++;
}

/* Past the end of a block, into what the allocator notes of the next one. */
static void overrun(volatile char *block, size_t size) /* inlined */
{
    for (size_t i = 0; i < size; i++)
        block[i] = 'x';
}

KEPT static void corrupt(size_t size)
{
    char *block = malloc(size), *next = malloc(size);

    if (block == NULL || next == NULL)
        return;
    overrun(block, size + 64);
    free(next);
    free(block);
    spins++; /* here and elsewhere: or the last call would be a jump, and this no frame */
}

static void heap(unsigned number, bool given)
{
    (void)number, (void)given;
    corrupt(2000);
    spins++;
}

/* No address at all, for some processors. */
KEPT static void read_wild(void)
{
    volatile char *volatile wild = (volatile char *)0x4141414141414141;

    spins += (unsigned long)*wild;
    spins++;
}

static void wild(unsigned number, bool given)
{
    (void)number, (void)given;
    read_wild();
    spins++;
}

static void *in_thread(void *arg)
{
    spins += read_customer((unsigned)(size_t)arg);
    return NULL;
}

static void thread(unsigned number, bool given)
{
    pthread_t id;

    (void)given;
    if (pthread_create(&id, NULL, in_thread, (void *)(size_t)number) == 0)
        pthread_join(id, NULL);
}

/* ?n=SIGNAL: 9, unless it is said */
static void sends_itself(unsigned number, bool given)
{
    kill(getpid(), given ? (int)number : SIGKILL);
    spins++;
}

/* ?n=STATUS */
static void exits(unsigned number, bool given)
{
    (void)given;
    exit((int)number);
}

/* ---- stack overflows ---- */

KEPT static unsigned descend(unsigned depth)
{
    volatile unsigned block[16];

    block[depth % 16] = depth;
    if (never != 0)
        return depth;
    return descend(depth + 1) + block[depth % 16];
}

static void recurse(unsigned number, bool given)
{
    (void)given;
    spins += descend(number);
}

static void *descend_in_thread(void *arg)
{
    spins += descend((unsigned)(size_t)arg);
    return NULL;
}

/* ... of a thread of its own, which has no other stack to tell of it on. */
static void recurse_in_thread(unsigned number, bool given)
{
    pthread_t id;

    (void)given;
    if (pthread_create(&id, NULL, descend_in_thread, (void *)(size_t)number) == 0)
        pthread_join(id, NULL);
}

/* Only the lowest of its locals is written: so it steps over what is narrower. */
KEPT static unsigned descend_far(unsigned depth)
{
    volatile char block[40 << 10];

    block[0] = (char)depth;
    if (never != 0)
        return depth;
    return descend_far(depth + 1) + (unsigned)block[0];
}

static void deep(unsigned number, bool given)
{
    (void)given;
    spins += descend_far(number);
}

/* ---- hangs ---- */

static void spin_once(void) /* inlined */
{
    spins++;
}

KEPT static void search_for_ever(void)
{
    while (never == 0)
        spin_once();
}

static void loop(unsigned number, bool given)
{
    (void)number, (void)given;
    search_for_ever();
    spins++;
}

/* Nearly always within the allocator, with its locks. */
static void churn(unsigned number, bool given)
{
    (void)number, (void)given;
    while (never == 0) {
        void *volatile block = malloc(100000);

        free(block);
    }
}

/* In a system call that does not return. */
static void stuck(unsigned number, bool given)
{
    (void)number, (void)given;
    for (;;)
        pause();
}

/* ?n=MS: the whole worker waits, and then goes on */
static void blocks(unsigned number, bool given)
{
    (void)given;
    usleep(number * 1000);
    spins++;
}

/* ---- growth ---- */

/* ?kb=, given as ?n= too: never freed, and touched */
static void leak(unsigned number, bool given)
{
    size_t size = (size_t)(given ? number : 100) << 10;
    volatile char *block = malloc(size); /* volatile: or the compiler leaves all of it out */

    for (size_t i = 0; block != NULL && i < size; i += 4096)
        block[i] = 1;
}

static void ok(unsigned number, bool given)
{
    (void)number, (void)given;
}

/* ---- which, and where ---- */

static const struct {
    const char *path;
    mishap *trouble;
} troubles[] = {
    {"/null", null},         {"/fpe", fpe},         {"/abort", aborts},
    {"/heap", heap},         {"/thread", thread},   {"/exit", exits},
    {"/kill", sends_itself}, {"/recurse", recurse}, {"/deep", deep},
    {"/loop", loop},         {"/churn", churn},     {"/stuck", stuck},
    {"/block", blocks},      {"/leak", leak},       {"/ok", ok},
    {"/sleep", ok},          {"/wild", wild},       {"/recurse-in-thread", recurse_in_thread},
};

static mishap *find(const char *path)
{
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++)
        if (strcmp(troubles[i].path, path) == 0)
            return troubles[i].trouble;
    return NULL;
}

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *status,
                  const char *text)
{
    if (start_response(environ, status, REEVE_HEADERS({"Content-Type", "text/plain"})) != 0)
        return -1;
    return reeve_write(environ, text, strlen(text));
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *ms = reeve_query_get(environ, "ms"), *number = reeve_query_get(environ, "n");
    const char *held = reeve_query_get(environ, "held");
    mishap *trouble = find(reeve_path(environ));

    if (number == NULL)
        number = reeve_query_get(environ, "kb");
    if (ms != NULL && reeve_sleep(atof(ms) / 1000) != 0)
        return -1;
    while (held != NULL && access(held, F_OK) != 0)
        usleep(1000);
    if (trouble == NULL)
        return answer(environ, start_response, "404 Not Found", "no such trouble\n");
    trouble(number != NULL ? (unsigned)atoi(number) : 0, number != NULL);
    return answer(environ, start_response, "200 OK", "ok\n");
}

static void have(const reeve_module *module, const char *where)
{
    const char *path = reeve_option(module, where), *file = reeve_option(module, "if");
    mishap *trouble = path != NULL ? find(path) : NULL;

    if (trouble == NULL || (reeve_is_preflight() && reeve_option(module, "preflight") == NULL) ||
        (file != NULL && access(file, F_OK) != 0))
        return;
    trouble(0, false);
    spins++;
}

static int init(reeve_module *module)
{
    have(module, "init");
    return 0;
}

static void fini(reeve_module *module)
{
    have(module, "fini");
}

#ifdef CONSTRUCTOR /* the name of a function above */
__attribute__((constructor)) static void construct(void)
{
    if (!reeve_is_preflight())
        CONSTRUCTOR(0, false);
}
#endif

#ifdef ON_LOOP
#define IS_ON_LOOP true
#else
#define IS_ON_LOOP false
#endif
REEVE_APP(.name = "trouble", .version = "1.0.0", .init = init, .fini = fini,
          .application = application, .stack_size = STACK, .on_loop = IS_ON_LOOP);
