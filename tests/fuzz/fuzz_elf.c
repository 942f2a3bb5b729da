/* fuzz_elf.c: any bytes as a module. Aborts when a problem and the result disagree, or a text has no
 * end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/elf.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* just as long: a look beyond it is seen */
    struct elf_facts facts;
    int status;

    REQUIRE(copy);
    memcpy(copy, data, size);
    status = elf_read(copy, size, "/nowhere/module.so", &facts);
    REQUIRE((status == 0) == (facts.problem[0] == '\0'));
    REQUIRE(memchr(facts.problem, '\0', sizeof facts.problem));
    REQUIRE(memchr(facts.build_id, '\0', sizeof facts.build_id));
    REQUIRE(memchr(facts.warnings, '\0', sizeof facts.warnings));
    free(copy);
    return 0;
}
