/* shared.h: what several connections send, in the forms in which it has been asked for. */
#ifndef LIVE_SHARED_H
#define LIVE_SHARED_H

#include <reeve/shared.h>
#include <stdbool.h>

#include "net/payload.h"

/* Forms: the bytes as they are, and as one WebSocket frame of each kind, plain and compressed without
 * context. */
enum shared_form {
    SHARED_BYTES,
    SHARED_TEXT,
    SHARED_BINARY,
    SHARED_TEXT_DEFLATED,
    SHARED_BINARY_DEFLATED,
    SHARED_FORMS
};

struct reeve_shared {
    unsigned refs;
    bool is_checked, is_utf8;
    struct payload *forms[SHARED_FORMS]; /* those that were made; the first always */
};

#endif
