/* test_master_elf.c: what is told of a module before it is loaded. The modules are made by the
 * compiler as the operator's are, and changed in memory; the sanitizers watch what is read. */
#include "master/elf.h"

#include <elf.h>
#include <ftw.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What the process has and a module may have too. */
__attribute__((visibility("default"))) int elf_test_one(void);
__attribute__((visibility("default"))) int elf_test_one(void)
{
    return 1;
}
__attribute__((visibility("default"))) extern int elf_test_two, elf_test_three, elf_test_four;
int elf_test_two, elf_test_three, elf_test_four;

static char folder[] = "/tmp/reeve-elf-XXXXXX";
static char path[PATH_MAX];
static char *file; /* of the last module that was built */
static size_t size;
static struct elf_facts facts;

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(name);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/module.so", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(file);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void read_file(void)
{
    FILE *stream = fopen(path, "re");
    struct stat st;

    assert_non_null(stream);
    assert_int_equal(fstat(fileno(stream), &st), 0);
    free(file);
    size = (size_t)st.st_size;
    file = malloc(size);
    assert_int_equal(fread(file, 1, size, stream), size);
    fclose(stream);
}

/* Into module.so; FOLDER stands for where that is. */
static void build(const char *flags, const char *source)
{
    char command[4096];

    snprintf(command, sizeof(command),
             "cd %s && FOLDER=%s && printf '%%s' '%s' | cc -o module.so -xc - -xnone %s", folder,
             folder, source, flags);
    assert_int_equal(system(command), 0);
    read_file();
}

static void assert_fine(const char *warnings)
{
    if (elf_read(file, size, path, &facts) != 0)
        fail_msg("refused: %s", facts.problem);
    assert_string_equal(facts.problem, "");
    if (warnings[0] == '\0' ? facts.warnings[0] != '\0' : strstr(facts.warnings, warnings) == NULL)
        fail_msg("warnings are \"%s\", not \"%s\"", facts.warnings, warnings);
}

static void assert_refused(const char *sentence)
{
    assert_int_equal(elf_read(file, size, path, &facts), -1);
    if (strstr(facts.problem, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", facts.problem, sentence);
}

/* ---- the file ---- */

static void a_module_is_fine(void **state)
{
    (void)state;
    build("-shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -Wl,--build-id",
          "int x(void) { return 1; }");
    assert_fine("");
    assert_int_equal(strlen(facts.build_id), 40);
    assert_int_equal(strspn(facts.build_id, "0123456789abcdef"), 40);
    build("-shared -fPIC -Wl,--build-id=none", "int x;");
    assert_fine("");
    assert_string_equal(facts.build_id, "");
    build("-shared -fPIC -s", "int x;"); /* stripped */
    assert_fine("");
}

static void another_machine_is_named(void **state)
{
    ElfW(Ehdr) * header;

    (void)state;
    build("-shared -fPIC", "int x;");
    header = (ElfW(Ehdr) *)(void *)file;
    header->e_machine = EM_S390;
    assert_refused("is built for s390, this server is ");
    header->e_machine = 4711;
    assert_refused("is built for machine 4711, this server is ");
}

static void another_kind_of_file_is_named(void **state)
{
    (void)state;
    build("-no-pie", "int main(void) { return 0; }");
    assert_refused("is an executable, no shared object: link it with -shared");
    build("-fPIE -pie", "int main(void) { return 0; }");
    assert_refused("is an executable, no shared object: link it with -shared");
    build("-c", "int x;");
    assert_refused("is an object file, no shared object: link it with -shared");
    memcpy(file, "#!/bin/sh\n", 10);
    assert_refused("is no ELF file");
    size = 0;
    assert_refused("is no ELF file");
}

static void a_module_that_can_never_be_unloaded_is_warned_of(void **state)
{
    (void)state;
    build("-shared -fPIC -Wl,-z,nodelete", "int x;");
    assert_fine("-z nodelete");
    build("-shared -fPIC -Wl,-z,execstack,-z,nodelete", "int x;");
    assert_fine("it asks for an executable stack");
    assert_fine("\nit is linked with -z nodelete"); /* a line each */
    build("-shared -fPIC", "int x; __asm__(\".type x, @gnu_unique_object\");");
    assert_fine("it defines unique symbols (x), so its code may never be unloaded");
}

/* ---- symbols ---- */

static const char clashing[] = "int elf_test_one(void) { return 2; }"
                               "int elf_test_two = 2, elf_test_three, elf_test_four, other;"
                               "int use(void) { return elf_test_one() + elf_test_two +"
                               " elf_test_three + elf_test_four + other; }";

static void symbols_that_the_server_would_replace_are_warned_of(void **state)
{
    (void)state;
    build("-shared -fPIC", "int elf_test_one(void) { return 2; }"
                           "int use(void) { return elf_test_one(); }");
    assert_fine("elf_test_one is defined in the module and in the server, whose copy wins: build "
                "it with -fvisibility=hidden -Wl,-Bsymbolic-functions\n");
    build("-shared -fPIC", clashing);
    assert_fine(" and 1 more are defined in the module and in the server");
}

static void symbols_that_are_the_modules_own_are_not(void **state)
{
    (void)state;
    build("-shared -fPIC -fvisibility=hidden", clashing);
    assert_fine("");
    build("-shared -fPIC -Wl,-Bsymbolic", clashing);
    assert_fine("");
    /* Not in use by its name. */
    build("-shared -fPIC -Wl,-Bsymbolic-functions", "int elf_test_one(void) { return 2; }"
                                                    "int use(void) { return elf_test_one(); }");
    assert_fine("");
    /* The server's own, as they should be. */
    build("-shared -fPIC", "int elf_test_one(void); int use(void) { return elf_test_one(); }");
    assert_fine("");
}

static void calls_of_a_newer_interface_are_named(void **state)
{
    (void)state;
    build("-shared -fPIC", "int reeve_later(void); int use(void) { return reeve_later(); }");
    assert_refused("needs reeve_later, which this server does not have: was it built for a newer "
                   "reeve?");
    build("-shared -fPIC", "int reeve_sleep(double); int use(void) { return reeve_sleep(1); }");
    assert_fine("");
    build("-shared -fPIC", "__attribute__((weak)) int reeve_later(void);"
                           "int use(void) { return reeve_later ? reeve_later() : 0; }");
    assert_fine("");
}

/* ---- libraries ---- */

static void libraries_of_its_own_are_refused(void **state)
{
    char own[PATH_MAX + 64];

    (void)state;
    build("-shared -fPIC", "int own(void) { return 1; }");
    snprintf(own, sizeof(own), "%s/libown.so", folder);
    assert_int_equal(rename(path, own), 0);
    snprintf(own, sizeof(own), "needs %s/libown.so, a shared library of its own", folder);
    build("-shared -fPIC -Wl,--no-as-needed ./libown.so", "int x;");
    assert_refused("needs ./libown.so, a shared library of its own");
    build("-shared -fPIC -Wl,--no-as-needed -L. -lown -Wl,-rpath,/nowhere:$FOLDER", "int x;");
    assert_refused(own);
    build("-shared -fPIC -Wl,--no-as-needed,--disable-new-dtags -L. -lown -Wl,-rpath,$FOLDER",
          "int x;");
    assert_refused(own);
    build("-shared -fPIC -Wl,--no-as-needed -L. -lown \"-Wl,-rpath,\\$ORIGIN\"", "int x;");
    assert_refused(own);
    /* Where it is cannot be told: the dynamic linker has the word. */
    build("-shared -fPIC -Wl,--no-as-needed -L. -lown", "int x;");
    assert_fine("");
    /* The system's, and one that is loaded anyhow. */
    build("-shared -fPIC -Wl,--no-as-needed -lm -Wl,-rpath,$FOLDER", "int x;");
    assert_fine("");
}

/* ---- damage ---- */

static void a_file_cut_short_is_refused_at_every_length(void **state)
{
    size_t whole;

    (void)state;
    build("-shared -fPIC", "int x;");
    whole = size;
    for (size = 4; size < whole; size++) {
        char *cut = malloc(size); /* just as long: a look beyond it is seen */

        memcpy(cut, file, size);
        assert_int_equal(elf_read(cut, size, path, &facts), -1);
        if (strstr(facts.problem, "is cut short") == NULL)
            fail_msg("%zu bytes: %s", size, facts.problem);
        free(cut);
    }
}

/* Whatever stands in it, nothing outside the file is read. */
static void a_damaged_file_is_harmless(void **state)
{
    char *changed;

    (void)state;
    build("-shared -fPIC -Wl,-rpath,/nowhere", clashing);
    changed = malloc(size);
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        ElfW(Ehdr) header;
        size_t at;

        memcpy(changed, file, size);
        memcpy(&header, file, sizeof(header));
        for (int j = 0; j < 3; j++) {
            /* The tables above all. */
            switch (random() % 4) {
            case 0:
                at = (size_t)random() % 1024;
                break;
            case 1:
                at = header.e_shoff +
                     (size_t)random() % ((size_t)header.e_shnum * header.e_shentsize);
                break;
            default:
                at = (size_t)random() % size;
            }
            changed[at] = (char)random();
        }
        elf_read(changed, size, path, &facts);
        assert_true(memchr(facts.problem, '\0', sizeof(facts.problem)) != NULL);
    }
    free(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_fine),
        cmocka_unit_test(another_machine_is_named),
        cmocka_unit_test(another_kind_of_file_is_named),
        cmocka_unit_test(a_module_that_can_never_be_unloaded_is_warned_of),
        cmocka_unit_test(symbols_that_the_server_would_replace_are_warned_of),
        cmocka_unit_test(symbols_that_are_the_modules_own_are_not),
        cmocka_unit_test(calls_of_a_newer_interface_are_named),
        cmocka_unit_test(libraries_of_its_own_are_refused),
        cmocka_unit_test(a_file_cut_short_is_refused_at_every_length),
        cmocka_unit_test(a_damaged_file_is_harmless),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
