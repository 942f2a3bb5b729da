/* frames.c: see frames.h. libgcc walks; what it finds are addresses. */
#include "runtime/frames.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <unwind.h>

struct walk {
    struct frame *frames;
    size_t most, taken, depth;
    uintptr_t below;
    bool has_begun; /* `below` was passed */
};

static uint64_t offset_in(const struct link_map *map, uintptr_t address)
{
    return address == 0 ? 0 : (uint64_t)(address - map->l_addr);
}

static struct frame frame_at(uintptr_t place, uintptr_t function)
{
    struct dl_find_object found;

    if (_dl_find_object((void *)place, &found) != 0)
        return (struct frame){.offset = place};
    return (struct frame){.object = found.dlfo_link_map->l_name,
                          .offset = offset_in(found.dlfo_link_map, place),
                          .function = offset_in(found.dlfo_link_map, function)};
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    uintptr_t function = _Unwind_GetRegionStart(context), place;
    int is_exact = 0; /* a signal came in there: no call */

    if (!walk->has_begun) {
        walk->has_begun = function == walk->below;
        return _URC_NO_REASON;
    }
    place = _Unwind_GetIPInfo(context, &is_exact);
    if (place == 0 || walk->depth == FRAMES_DEPTH_MAX)
        return _URC_END_OF_STACK;
    walk->depth++;
    if (walk->taken < walk->most)
        walk->frames[walk->taken++] = frame_at(is_exact ? place : place - 1, function);
    return _URC_NO_REASON;
}

size_t frames_take(struct frame *frames, size_t most, uintptr_t below, size_t *depth_out)
{
    struct walk walk = {.frames = frames, .most = most, .below = below};

    _Unwind_Backtrace(on_frame, &walk);
    *depth_out = walk.depth;
    return walk.taken;
}
