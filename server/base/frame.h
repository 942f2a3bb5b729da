/* frame.h: a place in code: one of the calls on a stack. */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <stdint.h>

struct frame {
    const char *object; /* its file, as the loader knows it, and good while that is loaded; "": the
                           server's own program; NULL: none, and offset is the address itself */
    uint64_t offset;    /* from its load address; of a call: within it, not behind it */
    uint64_t function;  /* offset of the function's beginning; 0: not known */
};

#endif
