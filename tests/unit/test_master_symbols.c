/* test_master_symbols.c: places in a module by the whole chain of functions there, by a process
 * that is asked; in modules with debug information, without, and stripped. */
#include "master/symbols.h"

#include <dlfcn.h>
#include <event2/event.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#include "master/master.h"

static const char source[] = "void probe(int);\n"
                             "static inline __attribute__((always_inline)) void inner(int n)\n"
                             "{\n"
                             "    probe(n);\n" /* line 4 */
                             "}\n"
                             "static inline __attribute__((always_inline)) void middle(int n)\n"
                             "{\n"
                             "    inner(n + 1);\n" /* line 8 */
                             "    inner(n + 2);\n"
                             "}\n"
                             "int exported(int n);\n"
                             "static __attribute__((noinline, noclone)) int not_exported(int n)\n"
                             "{\n"
                             "    middle(n);\n" /* line 14 */
                             "    return n + 1;\n"
                             "}\n"
                             "__attribute__((visibility(\"default\"))) int exported(int n)\n"
                             "{\n"
                             "    probe(n);\n" /* line 19 */
                             "    return not_exported(n) + 1;\n"
                             "}\n";

static char folder[] = "/tmp/reeve-symbols-XXXXXX";

static struct master master;
static struct config config;

/* ---- places: where the module was when it called back ---- */

#define PLACES 3 /* in exported; in not_exported; there again */

static struct {
    uint64_t offset, function;
} found[PLACES];
static size_t found_count;
static uintptr_t load_address;

__attribute__((visibility("default"))) void probe(int n);
void probe(int n)
{
    char *site = (char *)__builtin_return_address(0) - 1;
    void *function = _Unwind_FindEnclosingFunction(site);

    (void)n;
    found[found_count].offset = (uintptr_t)site - load_address;
    found[found_count++].function = function ? (uintptr_t)function - load_address : 0;
}

static const char *module_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s.so", folder, name);
    return path;
}

static void compile(const char *name, const char *flags)
{
    char command[512];

    snprintf(command, sizeof command, "cc -shared -fPIC -fvisibility=hidden %s -o %s %s/places.c",
             flags, module_path(name), folder);
    assert_int_equal(system(command), 0);
}

/* Where the module's probes are. */
static void run(const char *name)
{
    void *module = dlopen(module_path(name), RTLD_NOW | RTLD_LOCAL);
    int (*function)(int);
    struct link_map *map;

    assert_non_null(module);
    assert_int_equal(dlinfo(module, RTLD_DI_LINKMAP, &map), 0);
    load_address = map->l_addr;
    *(void **)&function = dlsym(module, "exported");
    found_count = 0;
    function(1);
    assert_int_equal(found_count, PLACES);
    dlclose(module);
}

static struct symbol_place place(const char *path, size_t i, bool has_function)
{
    return (struct symbol_place){
        .path = path, .offset = found[i].offset, .function = has_function ? found[i].function : 0};
}

/* ---- asking ---- */

static char answers[4096][160];
static size_t answered;
static int times;

/* Each place as "inner:4<middle:8<...". */
static void on_named(const struct symbols *named, size_t count, void *arg)
{
    times++;
    answered = count;
    assert_ptr_equal(arg, &times);
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(answers[i], sizeof answers[i], "%s", "");

        for (size_t j = 0; j < named[i].count; j++) {
            const struct symbol *symbol = &named[i].items[j];

            length += snprintf(answers[i] + length, sizeof answers[i] - (size_t)length,
                               "%s:%s:%d%s", symbol->function ? symbol->function : "?",
                               symbol->file ? symbol->file : "?", symbol->line,
                               symbol->is_inlined ? " < " : "");
        }
    }
    event_base_loopbreak(master.base);
}

static void reap_all(void)
{
    int status;
    pid_t pid;

    while (LIST_FIRST(&master.questions)) {
        pid = waitpid(-1, &status, 0);
        assert_true(pid > 0);
        assert_true(symbols_reap(&master, pid));
    }
    assert_false(symbols_reap(&master, 1));
}

static void ask(const struct symbol_place *places, size_t count)
{
    times = 0;
    assert_non_null(symbols_ask(&master, places, count, on_named, &times));
    event_base_dispatch(master.base);
    assert_int_equal(times, 1);
    assert_int_equal(answered, count);
    reap_all();
}

static void inlined_functions_are_named_with_the_lines_that_call_them(void **state)
{
    const char *path = strdup(module_path("full"));
    struct symbol_place places[PLACES];

    (void)state;
    run("full");
    for (size_t i = 0; i < PLACES; i++)
        places[i] = place(path, i, true);
    ask(places, PLACES);
    assert_string_equal(answers[0], "exported:places.c:19");
    assert_string_equal(answers[1],
                        "inner:places.c:4 < middle:places.c:8 < not_exported:places.c:14");
    assert_string_equal(answers[2],
                        "inner:places.c:4 < middle:places.c:9 < not_exported:places.c:14");
    free((char *)(uintptr_t)path);
}

static void without_debug_information_there_are_the_functions(void **state)
{
    const char *path = module_path("bare");
    struct symbol_place places[2];

    (void)state;
    run("bare");
    places[0] = place(path, 0, false);
    places[1] = place(path, 1, true);
    ask(places, 2);
    assert_string_equal(answers[0], "exported:?:0");
    assert_string_equal(answers[1], "not_exported:?:0");
}

static void a_stripped_function_does_not_get_its_neighbours_name(void **state)
{
    const char *path = module_path("stripped");
    struct symbol_place places[5];

    (void)state;
    run("stripped");
    places[0] = place(path, 0, true);
    places[1] = place(path, 1, true);
    places[2] = place(path, 1, false);
    /* Even when the symbol's size says otherwise. */
    places[3] = (struct symbol_place){path, found[0].offset, found[0].offset};
    places[4] = (struct symbol_place){path, 0, 0};
    ask(places, 5);
    assert_string_equal(answers[0], "exported:?:0");
    for (size_t i = 1; i < 5; i++)
        assert_string_equal(answers[i], "");
}

static void the_programs_own_functions_are_named(void **state)
{
    Dl_info info;
    struct link_map *map;
    struct symbol_place own;

    (void)state;
    assert_true(dladdr1((void *)(uintptr_t)on_named, &info, (void **)&map, RTLD_DL_LINKMAP));
    own = (struct symbol_place){"", (uintptr_t)on_named - map->l_addr, 0};
    ask(&own, 1);
    assert_memory_equal(answers[0], "on_named:test_master_symbols.c:", 31);
}

static void what_is_not_there_has_no_name_and_harms_no_other(void **state)
{
    const char *path = module_path("full");
    struct symbol_place places[6];

    (void)state;
    run("full");
    places[0] = (struct symbol_place){"/no/such/file", 1, 0};
    places[1] = place(path, 0, true);
    places[2] = (struct symbol_place){path, 0x7fffffffffff, 0};
    places[3] = (struct symbol_place){"/dev/null", 1, 0};
    places[4] = (struct symbol_place){"/", 1, 0};
    places[5] = place(path, 0, false);
    ask(places, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(answers[i], i == 1 || i == 5 ? "exported:places.c:19" : "");
    ask(places, 0);
}

static void thousands_of_places_are_one_question(void **state)
{
    const char *path = module_path("full");
    struct symbol_place *places = calloc(4096, sizeof *places);

    (void)state;
    run("full");
    for (size_t i = 0; i < 4096; i++)
        places[i] = place(path, i % PLACES, true);
    ask(places, 4096);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(strncmp(answers[i], i % PLACES == 0 ? "exported" : "inner", 5), 0);
    free(places);
}

static void kill_child(void)
{
    char path[64];
    FILE *file;
    int pid;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

/* As by a file that libdw does not survive. */
static void a_process_that_is_killed_gives_an_empty_answer(void **state)
{
    char fifo[128];
    struct symbol_place stuck = {fifo, 1, 0};

    (void)state;
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0); /* opening it takes for ever */
    times = 0;
    assert_non_null(symbols_ask(&master, &stuck, 1, on_named, &times));
    assert_int_equal(event_base_loop(master.base, EVLOOP_NONBLOCK), 0);
    assert_int_equal(times, 0);
    kill_child();
    event_base_dispatch(master.base);
    assert_int_equal(times, 1);
    assert_string_equal(answers[0], "");
    reap_all();
}

static void who_forgets_is_not_told(void **state)
{
    struct symbol_place own = {"", 1, 0};
    struct symbols_question *question = symbols_ask(&master, &own, 1, on_named, &times);

    (void)state;
    times = 0;
    symbols_forget(question);
    event_base_dispatch(master.base);
    reap_all();
    assert_int_equal(times, 0);
    assert_non_null(symbols_ask(&master, &own, 1, on_named, &times));
    symbols_free(&master);
    assert_true(LIST_EMPTY(&master.questions));
    assert_true(waitpid(-1, NULL, 0) > 0);
    assert_int_equal(times, 0);
}

static int open_all(void **state)
{
    char path[64];
    FILE *file;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/places.c", folder);
    file = fopen(path, "w");
    fputs(source, file);
    fclose(file);
    compile("full", "-O2 -g");
    compile("bare", "-O2");
    compile("stripped", "-O2 -s");
    master = (struct master){.base = event_base_new(), .config = &config};
    return 0;
}

static int close_all(void **state)
{
    char command[64];

    (void)state;
    event_base_free(master.base);
    libevent_global_shutdown();
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inlined_functions_are_named_with_the_lines_that_call_them),
        cmocka_unit_test(without_debug_information_there_are_the_functions),
        cmocka_unit_test(a_stripped_function_does_not_get_its_neighbours_name),
        cmocka_unit_test(the_programs_own_functions_are_named),
        cmocka_unit_test(what_is_not_there_has_no_name_and_harms_no_other),
        cmocka_unit_test(thousands_of_places_are_one_question),
        cmocka_unit_test(a_process_that_is_killed_gives_an_empty_answer),
        cmocka_unit_test(who_forgets_is_not_told),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
