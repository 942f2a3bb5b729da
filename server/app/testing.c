/* testing.c: what only a build with a sanitizer exports: ways for a test's application to bring
 * about what is rare. */
#include <reeve/app.h>

#include "base/poison.h"
#include "runtime/coro.h"

#ifdef HAS_ASAN

/* See coro_cancel_nth. */
REEVE_API unsigned reeve_test_cancel_nth(unsigned n);

unsigned reeve_test_cancel_nth(unsigned n)
{
    return coro_cancel_nth(n);
}

#else

typedef int nothing_to_export;

#endif
